import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { freePort, startReceiver } from '../server/test/receivers.ts'
import { externalDatabase, login, request, startService, untilReady } from '../server/test/service-process.ts'

// Callers that send slowly, read slowly and send the largest there is, against a process of the service: it must stay small and
// serve another caller at once.
const mostMebibytes = 400
const slowestMs = 250
const readers = 36
const large = 60
/**
 * A phase ends when its memory has not risen for so long. On a machine that was busy ten times over, twelve of the attacks came
 * within 2 % of their highest in 4 s, and one in 7 s.
 */
const settledMs = 3_000
const phaseMs = 8_000
const mebibyte = 1_048_576

const admin = { ADMIN_EMAIL: 'admin@memory.example', ADMIN_PASSWORD: 'correct horse battery' }

test('slow and large callers take neither the memory nor the event loop of the others', async (context) => {
  const { url, pid, token, key } = await startedService(context)
  const address = new URL(url)
  const hanging = await startReceiver({ behaviour: () => {} })
  context.after(() => hanging.close())

  const create = async (bytes: number, more: object = {}): Promise<string> => {
    const body = { title: 'Large', context: { large: 'x'.repeat(bytes) }, ...more }
    const made = await request(url, 'POST', '/api/v1/requests', { as: key, body })
    assert.equal(made.status, 201, JSON.stringify(made.body).slice(0, 500))
    return made.body.id
  }
  const small = await create(10)
  const ids: string[] = []
  for (let n = 0; n < large; n += 1) ids.push(await create(mebibyte - 500))

  const open: Socket[] = []
  context.after(() => open.forEach((socket) => void socket.destroy()))
  /** Sends the beginning of a call, and reads nothing. */
  const begin = async (head: string, rest = ''): Promise<void> => {
    const socket = connect(Number(address.port), address.hostname).on('error', () => {})
    open.push(socket.pause())
    await once(socket, 'connect')
    socket.write(`${head}\r\nHost: x\r\n\r\n${rest}`)
  }
  const bearer = (as: string) => `\r\nAuthorization: Bearer ${as}`
  const unread = (path: (n: number) => string) => () =>
    Promise.all(Array.from({ length: readers }, (_, n) => begin(`GET ${path(n)} HTTP/1.1${bearer(token)}`)))
  const half = (count: number, path: string, as: string, bytes: number) => () =>
    Promise.all(
      Array.from({ length: count }, () =>
        begin(
          `POST ${path} HTTP/1.1${as}\r\nContent-Type: application/json\r\nContent-Length: ${bytes}`,
          `{"title":"${'x'.repeat(bytes - 100)}`,
        ),
      ),
    )
  const one = (n: number) => `/api/v1/requests/${ids[n % large]}`

  const phases: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['lists', unread(() => '/api/v1/requests?limit=100')],
    ['full lists', unread(() => '/api/v1/requests?limit=100&fields=full')],
    ['single requests', unread(one)],
    ['events', unread(() => '/api/v1/events?limit=100')],
    ['evidence', unread((n) => `${one(n)}/evidence`)],
    ['evidence pages', unread((n) => `${one(n)}/evidence?format=html`)],
    ['exports', unread((n) => `/api/v1/events/export?format=${n % 2 === 0 ? 'csv' : 'jsonl'}`)],
    ['documents', unread(() => '/openapi.json')],
    ['unfinished sign-ins', half(600, '/api/v1/auth/login', '', mebibyte)],
    ['smaller unfinished sign-ins', half(600, '/api/v1/auth/login', '', 16_000)],
    ['unfinished requests', half(200, '/api/v1/requests', bearer(key), mebibyte)],
    ['large requests', () => Promise.all(Array.from({ length: 24 }, () => create(mebibyte - 500).catch(() => {})))],
    [
      'large callbacks to a hanging receiver',
      async () => {
        const metadata = { large: 'x'.repeat(mebibyte - 1_000) }
        for (let n = 0; n < 100; n += 1) {
          const id = await create(10, { metadata, callback_webhook: hanging.url })
          await request(url, 'POST', `/api/v1/requests/${id}/respond`, { as: token, body: { decision: 'approve' } })
          // Otherwise the caller that is watched would wait for this process.
          await delay(50)
        }
      },
    ],
  ]
  const found: string[] = []
  for (const [name, run] of phases) {
    const { highest, p99 } = await watched(pid, url, `/api/v1/requests/${small}`, token, run)
    context.diagnostic(`${name}: at most ${highest} MiB, another caller waits ${p99} ms (p99)`)
    if (highest > mostMebibytes || p99 > slowestMs) found.push(`${name}: ${highest} MiB, ${p99} ms`)
    for (const socket of open.splice(0)) socket.destroy()
    await delay(500)
  }
  assert.deepEqual(found, [])
})

async function startedService(context: TestContext) {
  const cwd = await mkdtemp(join(tmpdir(), 'hitl-memory-'))
  const database = await externalDatabase()
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const environment = { ...admin, ...database.environment, DATA_DIR: cwd, PORT: String(port), LOG_LEVEL: 'error' }
  // As `npm start` and the image start it (docs/decisions/0008-memory-flags.md).
  const flags = ['--max-semi-space-size=8', '--heap-growing-percent=40']
  const service = startService({ cwd, environment, flags })
  context.after(async () => {
    await service.end('SIGTERM')
    await database.drop()
    await rm(cwd, { recursive: true, force: true })
  })
  await untilReady(service, url)
  const token = await login(url, admin.ADMIN_EMAIL, admin.ADMIN_PASSWORD)
  const { body } = await request(url, 'POST', '/api/v1/api-keys', { as: token, body: { name: 'memory' } })
  return { url, pid: service.pid, token, key: body.key as string }
}

/** Runs an attack, and for as long as it lasts looks at the memory of the process and calls as another caller. */
async function watched(pid: number, url: string, path: string, as: string, run: () => Promise<unknown>) {
  let isOver = false
  let highest = 0
  let roseAt = performance.now()
  const waits: number[] = []
  const look = async (): Promise<void> => {
    while (!isOver) {
      const { stdout } = await promisify(execFile)('ps', ['-o', 'rss=', '-p', String(pid)])
      const now = Number(stdout) / 1_024
      if (now > highest * 1.01) roseAt = performance.now()
      highest = Math.max(highest, now)
      await delay(100)
    }
  }
  const ask = async (): Promise<void> => {
    while (!isOver) {
      const began = performance.now()
      const { status } = await request(url, 'GET', path, { as })
      assert.equal(status, 200)
      waits.push(performance.now() - began)
      // Often enough for some 300 in the shortest phase: of 100, the 99th percentile is the slowest one.
      await delay(5)
    }
  }
  const settled = async (): Promise<void> => {
    const began = performance.now()
    while (performance.now() - began < phaseMs && performance.now() - roseAt < settledMs) await delay(100)
  }
  const attack = async (): Promise<void> => {
    await run()
    await settled()
    isOver = true
  }
  await Promise.all([attack(), look(), ask()])
  const p99 = waits.sort((a, b) => a - b)[Math.floor(waits.length * 0.99)] ?? Number.POSITIVE_INFINITY
  return { highest: Math.round(highest), p99: Math.round(p99) }
}
