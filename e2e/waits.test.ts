import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { openStream } from '../server/test/realtime/sse.ts'
import { freePort } from '../server/test/receivers.ts'
import {
  externalDatabase,
  type HttpReply,
  login,
  request,
  type ServiceProcess,
  startService,
  untilReady,
} from '../server/test/service-process.ts'

const admin = { ADMIN_EMAIL: 'admin@waits.example', ADMIN_PASSWORD: 'correct horse battery' }
const services = new Set<ServiceProcess>()
let cwd: string
let database: Awaited<ReturnType<typeof externalDatabase>>
let first: { url: string; service: ServiceProcess }
let token: string
let key: string

async function start() {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const secret = { SECRET_KEY: 'a key of these two processes, long enough' }
  const environment = { ...database.environment, ...admin, ...secret, PORT: String(port), LOG_LEVEL: 'warn' }
  const service = startService({ cwd, environment })
  services.add(service)
  await untilReady(service, url)
  return { url, service }
}

before(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'hitl-waits-'))
  database = await externalDatabase()
  first = await start()
  token = await login(first.url, admin.ADMIN_EMAIL, admin.ADMIN_PASSWORD)
  const made = await request(first.url, 'POST', '/api/v1/api-keys', { as: token, body: { name: 'agent' } })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  key = made.body.key
})
after(async () => {
  for (const { child, exited } of services) {
    child.kill('SIGTERM')
    await exited
  }
  await database.drop()
  await rm(cwd, { recursive: true, force: true })
})

async function ask(): Promise<string> {
  const made = await request(first.url, 'POST', '/api/v1/requests', { as: key, body: { title: 'May I?', context: {} } })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  return made.body.id
}

async function approve(id: string): Promise<void> {
  const answer = { as: token, body: { decision: 'approve' } }
  const reply = await request(first.url, 'POST', `/api/v1/requests/${id}/respond`, answer)
  assert.equal(reply.status, 200, JSON.stringify(reply.body))
}

const wait = (url: string, id: string): Promise<HttpReply> =>
  request(url, 'GET', `/api/v1/requests/${id}/wait?timeout_seconds=9`, { as: key })
const streamOf = (url: string, id: string, headers = {}) =>
  openStream(`${url}/api/v1/requests/${id}/stream`, key, headers)

test('a decision in one process ends waits and streams in another', async () => {
  const second = await start()
  for (let n = 0; n < 5; n += 1) {
    const id = await ask()
    const stream = await streamOf(second.url, id)
    const waiting = wait(second.url, id)
    await approve(id)
    assert.equal((await waiting).body.state, 'responded')
    await stream.ended
    assert.deepEqual(
      stream.events.map(({ event }) => event),
      ['request.responded'],
    )
  }
  assert.equal(await second.service.end('SIGTERM'), 0)
})

test('a process that stops ends its waits with the pending request, and its streams; both go on elsewhere', async () => {
  const second = await start()
  const id = await ask()
  const waiting = wait(second.url, id)
  // By the time the head of the second stream is there, the call before it was taken.
  const other = await streamOf(second.url, await ask())
  other.close()
  const stream = await streamOf(second.url, id)
  const ended = second.service.end('SIGTERM')
  const reply = await waiting
  assert.deepEqual([reply.status, reply.body.state], [200, 'pending'])
  await stream.ended
  assert.equal(await ended, 0)
  const again = [wait(first.url, id), streamOf(first.url, id)] as const
  await approve(id)
  assert.equal((await again[0]).body.state, 'responded')
  await (await again[1]).ended
})

test('a stream that is cut by kill -9 at any time goes on elsewhere, without a gap and without a repetition', async () => {
  for (const isDecidedFirst of [false, true, false]) {
    const second = await start()
    const id = await ask()
    const cut = await streamOf(second.url, id)
    if (isDecidedFirst) await approve(id)
    await second.service.end('SIGKILL')
    await cut.ended
    if (!isDecidedFirst) await approve(id)
    const last = cut.events.at(-1)?.id
    const resumed = await streamOf(first.url, id, last === undefined ? {} : { 'last-event-id': last })
    await resumed.ended
    const received = [...cut.events, ...resumed.events]
    assert.deepEqual(
      received.map(({ id, event }) => [id, event]),
      [['1-request.responded', 'request.responded']],
    )
  }
})
