import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { Agent } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import pg from 'pg'
import { startEmbeddedPostgres } from '../server/src/platform/embedded-postgres/embedded-postgres.ts'
import { requestsAsShown } from '../server/test/consultations/table-contents.ts'
import { eventually } from '../server/test/eventually.ts'
import { freePort, type Receiver, startReceiver } from '../server/test/receivers.ts'
import {
  externalDatabase,
  type HttpReply,
  login,
  postmasterOf,
  request,
  startService,
  untilReady,
} from '../server/test/service-process.ts'

/** What is killed with -9 under load. */
type Victim = 'service' | 'service and postgres' | 'postgres'

/** One consultation of the load, and what the service has acknowledged about it. */
interface Item {
  readonly n: number
  readonly decision: 'approve' | 'reject'
  /** The decision is held back for a while, and released by whoever is alive then. */
  readonly isHeld: boolean
  id: string | null
  response: unknown
}

interface Load {
  readonly url: string
  readonly key: string
  readonly token: string
  readonly receiver: Receiver
  readonly items: Item[]
}

const lanes = 8
/** Longer than it takes to kill, and about as long as a start. */
const holdSeconds = 3
const admin = { ADMIN_EMAIL: 'admin@crash.example', ADMIN_PASSWORD: 'correct horse battery' }

function call(load: Load, method: string, path: string, options: Parameters<typeof request>[3]): Promise<HttpReply> {
  return request(load.url, method, `/api/v1${path}`, options)
}

/** Can be repeated: it uses the same Idempotency-Key and body every time. */
async function create(load: Load, item: Item, agent?: Agent): Promise<HttpReply> {
  const { key: as, receiver } = load
  const { n } = item
  const body = {
    title: `Request ${n}`,
    context: { n },
    metadata: { n },
    callback_webhook: receiver.url,
    callback_secret: 's',
    ...(item.isHeld ? { hold_seconds: holdSeconds } : {}),
  }
  return call(load, 'POST', '/requests', { as, body, key: `item-${n}`, ...(agent && { agent }) })
}

async function respond(load: Load, item: Item, agent?: Agent): Promise<HttpReply> {
  const body = { decision: item.decision, comment: `Comment ${item.n}` }
  return call(load, 'POST', `/requests/${item.id}/respond`, { as: load.token, body, ...(agent && { agent }) })
}

/** Begins to add a file to an item's request, and never ends. */
function beginUpload({ url, key }: Load, { id }: Item): Socket {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname).on('error', () => {})
  const head = [
    `POST /api/v1/requests/${id}/attachments HTTP/1.1`,
    `Host: ${hostname}`,
    `Authorization: Bearer ${key}`,
    'Content-Type: multipart/form-data; boundary=b',
    'Content-Length: 2000000',
  ]
  const part =
    '--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n'
  socket.write(`${head.join('\r\n')}\r\n\r\n${part}${'x'.repeat(600_000)}`)
  return socket
}

/** Creates and answers requests concurrently until the service is gone; calls `onAcknowledged` for every 2xx. */
async function putUnderLoad(load: Load, onAcknowledged: () => void): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: lanes })
  const uploads: Socket[] = []
  const acknowledged = (reply: HttpReply): boolean => {
    // 503 is the right reply when the database was just killed; it acknowledges nothing.
    assert.ok(reply.status < 300 || reply.status === 503, `${reply.status} ${JSON.stringify(reply.body)}`)
    if (reply.status < 300) onAcknowledged()
    return reply.status < 300
  }
  const lane = async (): Promise<void> => {
    for (;;) {
      const n = load.items.length
      const decision = n % 2 === 0 ? 'approve' : 'reject'
      const item: Item = { n, decision, isHeld: n % 4 < 2, id: null, response: null }
      load.items.push(item)
      const created = await create(load, item, agent).catch(() => null)
      if (created === null || !acknowledged(created)) return
      item.id = created.body.id
      if (n % lanes === 0) uploads.push(beginUpload(load, item))
      const answered = await respond(load, item, agent).catch(() => null)
      if (answered === null || !acknowledged(answered)) return
      item.response = answered.body.response
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  agent.destroy()
  for (const socket of uploads) socket.destroy()
}

/** Checks everything that the service acknowledged, then finishes the rest by repeating the same calls. */
async function verifyAndFinish(load: Load, items: readonly Item[]): Promise<void> {
  await Promise.all(
    items.map(async (item) => {
      const wasCreated = item.id !== null
      const wasAnswered = item.response !== null
      if (item.id === null) {
        const created = await create(load, item)
        assert.equal(created.status, 201, JSON.stringify(created.body))
        item.id = created.body.id
      }
      // As a person: what is held back is kept from the agent.
      const found = await call(load, 'GET', `/requests/${item.id}`, { as: load.token })
      assert.equal(found.status, 200, `item ${item.n} was ${wasCreated ? '' : 'not '}acknowledged`)
      assert.deepEqual(found.body.metadata, { n: item.n })
      assert.equal(found.body.title, `Request ${item.n}`)
      if (wasAnswered) assert.deepEqual(found.body.response, item.response, `the answer to item ${item.n}`)
      const decided = found.body.held_until === null ? ['responded', 'callback_sent'] : ['pending']
      const states = found.body.response === null ? ['pending'] : decided
      assert.ok(states.includes(found.body.state), `item ${item.n} is ${found.body.state}`)
      if (found.body.response === null) {
        const answered = await respond(load, item)
        assert.equal(answered.status, 200, JSON.stringify(answered.body))
        item.response = answered.body.response
      } else {
        assert.equal(found.body.response.comment, `Comment ${item.n}`)
        item.response = found.body.response
      }
    }),
  )
}

/** After the load: every answer was called back at least once, as it was acknowledged. */
async function verifyCallbacks(load: Load): Promise<void> {
  const { items, receiver } = load
  const missing = () => {
    const received = new Set(receiver.requests.map(({ body }) => JSON.parse(body.toString()).request_id))
    return items.filter(({ id }) => !received.has(id)).length
  }
  await eventually('every answer has been called back', () => missing() === 0)
  await eventually('every request is callback_sent', async () => {
    const page = await call(load, 'GET', '/requests?state=callback_sent&limit=1', { as: load.token })
    return page.body.total === items.length
  })
  const answers = new Map(items.map(({ id, response }) => [id, response]))
  const webhookIds = new Map<string, unknown>()
  for (const { body, headers } of receiver.requests) {
    const { request_id: id, response, event } = JSON.parse(body.toString())
    assert.equal(event, 'request.responded')
    assert.deepEqual(response, answers.get(id))
    assert.equal(webhookIds.get(id) ?? headers['webhook-id'], headers['webhook-id'], 'one id over all attempts')
    webhookIds.set(id, headers['webhook-id'])
  }
}

type Sql = (query: string) => Promise<readonly Record<string, unknown>[]>

async function verifyRows(sql: Sql, items: readonly Item[]): Promise<void> {
  const count = items.length
  const perKind = await sql(`
    select kind, count(*)::int, count(distinct subject_id)::int as requests from events
    where subject_kind = 'request' group by kind order by kind`)
  const held = items.filter(({ isHeld }) => isHeld).length
  assert.deepEqual(
    perKind,
    [
      ['request.callback_sent', count] as const,
      ['request.created', count] as const,
      ['request.released', held] as const,
      ['request.responded', count] as const,
    ].map(([kind, all]) => ({ kind, count: all, requests: all })),
  )
  // What was cut off is nobody's file, and each has its time to go.
  const [files] = await sql(`
    select count(*) > 0 as some, bool_and(added_at is null and discard_at < now() + interval '1 hour') as go from attachments`)
  assert.deepEqual(files, { some: true, go: true })
  const rows = `select organization_id, agent_id, shown as state, count(*)::int as total from ${requestsAsShown}`
  const kept = 'select organization_id, agent_id, state, sum(total)::int as total from consultation_totals'
  const counted = await sql(`${rows} group by 1, 2, 3`)
  assert.deepEqual(await sql(`${kept} group by 1, 2, 3 having sum(total) <> 0`), counted)
  assert.deepEqual(
    counted.map(({ state, total }) => ({ state, total })),
    [{ state: 'callback_sent', total: count }],
  )
  assert.deepEqual(await sql('select status, count(*)::int from deliveries group by 1'), [{ status: 'sent', count }])
}

interface Rounds {
  readonly test: TestContext
  readonly cwd: string
  readonly environment: Readonly<Record<string, string>>
  /** One round for each. */
  readonly victims: readonly Victim[]
}

async function runRounds({ test, cwd, environment, victims }: Rounds): Promise<Load> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const dataDir = join(cwd, 'data')
  const settings = { ...admin, ...environment, PORT: String(port), DATA_DIR: dataDir, LOG_LEVEL: 'warn' }
  const start = () => startService({ cwd, environment: { ...settings, ACCESS_TOKEN_EXPIRE_MINUTES: '60' } })
  let service = start()
  const receiver = await startReceiver()
  test.after(async () => {
    await service.end('SIGTERM')
    await receiver.close()
    await rm(cwd, { recursive: true, force: true })
  })
  await untilReady(service, url)
  const token = await login(url, admin.ADMIN_EMAIL, admin.ADMIN_PASSWORD)
  const { body } = await request(url, 'POST', '/api/v1/api-keys', { as: token, body: { name: 'crash' } })
  const load: Load = { url, key: body.key, token, receiver, items: [] }

  for (const victim of victims) {
    const first = load.items.length
    // Counted in acknowledged calls, so that the service is always busy when it is killed.
    let untilKill = randomInt(20, 160)
    const postgres = await postmasterOf(dataDir)
    await putUnderLoad(load, () => {
      untilKill -= 1
      if (untilKill !== 0) return
      if (victim !== 'postgres') service.child.kill('SIGKILL')
      if (victim !== 'service') process.kill(postgres, 'SIGKILL')
    })
    assert.ok(untilKill <= 0, 'it was killed')
    if (victim !== 'postgres') {
      assert.equal(await service.exited, 'SIGKILL')
      service = start()
    }
    await untilReady(service, url)
    await verifyAndFinish(load, load.items.slice(first))
  }
  await verifyCallbacks(load)
  await verifyAndFinish(load, load.items)
  assert.equal(await service.end('SIGTERM'), 0, service.stderr)
  test.diagnostic(
    `${victims.length} kills, ${load.items.length} requests, ${receiver.requests.length} callbacks received`,
  )
  return load
}

/** How often it is killed; `HITL_KILLS=20 npm run e2e -- e2e/crash.test.ts` takes its time. */
const kills = Number(process.env.HITL_KILLS ?? 5)
const cycle: readonly Victim[] = ['service', 'service and postgres', 'postgres', 'service']
const victimsOf = (among: readonly Victim[]): readonly Victim[] =>
  Array.from({ length: kills }, (_, at) => among[at % among.length] ?? 'service')

test(`${kills} times kill -9 under load on the embedded database: nothing that was acknowledged is lost, every callback arrives`, async (test) => {
  const cwd = await mkdtemp(join(tmpdir(), 'hitl crash '))
  const { items } = await runRounds({ test, cwd, environment: {}, victims: victimsOf(cycle) })
  const postgres = await startEmbeddedPostgres({ dataDir: join(cwd, 'data'), log: () => {} })
  // As the superuser, because row-level security hides rows from any other role.
  const client = new pg.Client({ ...postgres.connection, user: 'postgres' })
  try {
    await client.connect()
    await verifyRows(async (query) => (await client.query(query)).rows, items)
  } finally {
    await client.end()
    await postgres.stop()
  }
})

test(`${Math.ceil(kills / 2)} times kill -9 under load of a service with two processes on a database elsewhere: nothing is lost either`, async (test) => {
  const cwd = await mkdtemp(join(tmpdir(), 'hitl crash '))
  const database = await externalDatabase()
  const environment = { ...database.environment, WORKERS: '2', SECRET_KEY: 'a key that is long enough for this test' }
  const victims = victimsOf(['service']).slice(0, Math.ceil(kills / 2))
  try {
    const { items } = await runRounds({ test, cwd, environment, victims })
    await verifyRows(database.sql, items)
  } finally {
    await database.drop()
  }
})
