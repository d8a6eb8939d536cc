import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { after, before, describe, type TestContext, test } from 'node:test'
import pg from 'pg'
import { type App, createApp } from '../../src/app.ts'
import { createLog } from '../../src/platform/log.ts'
import { eventually } from '../eventually.ts'
import { type FakeClock, secretKey, startTestApp, type TestApp, testConfig, testServer } from '../harness.ts'
import { receiverFor } from '../receivers.ts'

/** Longer than a lease, so that no attempt here ends by its timeout. */
const environment = { CALLBACK_TIMEOUT_SECONDS: '60' }
const realClock: FakeClock = { now: () => new Date(), advance: () => {} }

let t: TestApp
before(async () => {
  t = await startTestApp({ environment })
})
after(() => t.stop())

/** Another process of the service, from the database's point of view. Its workers are not started. */
async function anotherApp(
  test: TestContext,
  options: { readonly of?: TestApp; readonly environment?: Readonly<Record<string, string>> } = {},
): Promise<App> {
  const { of = t } = options
  const app = await createApp({
    config: testConfig({ ...environment, ...options.environment }),
    secretKey,
    connection: of.connection,
    log: createLog('silent', false),
    clock: of.clock,
  })
  let stopped: Promise<void> | undefined
  const stop = () => {
    stopped ??= app.stop()
    return stopped
  }
  test.after(stop)
  return { ...app, stop }
}

async function answered(url: string, of = t): Promise<string> {
  const { id } = await of.createRequest({ callback_webhook: url })
  await answer(id, of)
  return id
}

async function answer(id: string, of = t): Promise<void> {
  const body = { decision: 'approve' }
  const reply = await of.call('POST', `/api/v1/requests/${id}/respond`, { as: of.reviewer.token, body })
  assert.equal(reply.status, 200, reply.text)
}

async function callbackOf(id: string, of = t) {
  const [row] = await of.sql('select * from deliveries where subject_id = $1', [id])
  assert.ok(row)
  return row as { status: string; attempts: number; due_at: Date | null; lease_token: string | null }
}

async function stateOf(id: string, of = t): Promise<string> {
  return (await of.call('GET', `/api/v1/requests/${id}`, { as: of.apiKey })).body.state
}

async function attemptsOf(id: string, of = t): Promise<readonly (readonly unknown[])[]> {
  const columns = 'status_code, succeeded, error_code'
  const rows = await of.sql(`select ${columns} from delivery_attempts where subject_id = $1 order by id`, [id])
  return rows.map((row) => [row.status_code, row.succeeded, row.error_code])
}

describe('a process that dies with a callback under way', () => {
  test('is replaced by another within 15 s but not before its lease ends; its late result is ignored', async (c) => {
    const held: ServerResponse[] = []
    const receiver = await receiverFor(c, { behaviour: (response) => void held.push(response) })
    // The first attempt starts at once, but nothing renews its lease, as if the process had died.
    const id = await answered(receiver.url)
    await receiver.waitFor(1)
    receiver.behave({ body: 'second' })
    const other = await anotherApp(c)

    t.clock.advance(7_000)
    await other.drain()
    assert.equal(receiver.requests.length, 1, 'the lease is respected')
    assert.equal(await stateOf(id), 'responded')

    t.clock.advance(7_999)
    await other.drain()
    assert.equal(receiver.requests.length, 2, 'taken over')
    assert.equal(await stateOf(id), 'callback_sent')
    const settled = await callbackOf(id)

    held[0]?.writeHead(500).end('late')
    await t.app.drain()
    assert.deepEqual(await attemptsOf(id), [
      [200, true, null],
      [500, false, null],
    ])
    assert.equal(await stateOf(id), 'callback_sent')
    assert.deepEqual(await callbackOf(id), settled, 'the outbox is as the second attempt left it')
    const [first, second] = receiver.requests
    assert.equal(first?.headers['webhook-id'], second?.headers['webhook-id'])
    assert.deepEqual(first?.body, second?.body)
    const events = await t.sql("select kind from events where subject_id = $1 and kind like '%callback%'", [id])
    assert.equal(events.length, 1)
  })

  test('after it has claimed: the same, and a late success of the first is ignored too', async (c) => {
    const receiver = await receiverFor(c, { behaviour: { status: 500 } })
    const id = await answered(receiver.url)
    await t.app.drain()
    const held: ServerResponse[] = []
    receiver.behave((response) => void held.push(response))
    t.clock.advance(3_000)
    // It claims the retry and hangs.
    const claiming = t.app.drain()
    await receiver.waitFor(2)
    const other = await anotherApp(c)
    t.clock.advance(8_001)
    receiver.behave({ status: 502 })
    await other.drain()
    const { attempts, status } = await callbackOf(id)
    assert.deepEqual({ attempts, status }, { attempts: 2, status: 'pending' })

    held[0]?.end('late success')
    await claiming
    assert.deepEqual(await attemptsOf(id), [
      [500, false, null],
      [502, false, null],
      [200, true, null],
    ])
    assert.equal(await stateOf(id), 'responded', 'the schedule of the second goes on')
    receiver.behave({ status: 200 })
    t.clock.advance(5_000)
    await other.drain()
    assert.equal(await stateOf(id), 'callback_sent')
  })

  test('between the commit and the first byte: the outbox row alone is enough', async (c) => {
    const receiver = await receiverFor(c)
    const api = await anotherApp(c, { environment: { ROLE: 'api' } })
    const { id } = await t.createRequest({ callback_webhook: receiver.url })
    const reply = await api.http.inject({
      method: 'POST',
      url: `/api/v1/requests/${id}/respond`,
      headers: { authorization: `Bearer ${t.reviewer.token}` },
      payload: { decision: 'approve' },
    })
    assert.equal(reply.statusCode, 200, reply.body)
    await api.stop()
    // As a process with a worker leaves it behind after the answer: leased, but nobody delivers it.
    const lease = new Date(t.clock.now().getTime() + 8_000)
    await t.sql('update deliveries set lease_token = gen_random_uuid(), due_at = $2 where subject_id = $1', [id, lease])
    await t.app.drain()
    assert.equal(receiver.requests.length, 0)
    t.clock.advance(8_000)
    await t.app.drain()
    assert.equal(receiver.requests.length, 1)
    assert.equal(await stateOf(id), 'callback_sent')
  })
})

describe('a living process', () => {
  test('renews the lease of a long attempt, and a locked callback does not stop renewal for others', async (c) => {
    const own = await startTestApp({ environment, workers: true })
    c.after(() => own.stop())
    const held: ServerResponse[] = []
    const receiver = await receiverFor(c, { behaviour: (response) => void held.push(response) })
    const [locked, free] = [await answered(receiver.url, own), await answered(receiver.url, own)]
    await receiver.waitFor(2)
    // As the superuser, so that row-level security does not hide the row to lock.
    const lock = new pg.Client({ ...own.connection, user: 'postgres' })
    await lock.connect()
    await lock.query('begin')
    await lock.query('select 1 from deliveries where subject_id = $1 for update', [locked])
    const lease = (await callbackOf(free, own)).due_at
    const lockedLease = (await callbackOf(locked, own)).due_at
    const other = await anotherApp(c, { of: own })
    own.clock.advance(7_000)
    await eventually('the lease is longer', async () => Number((await callbackOf(free, own)).due_at) > Number(lease))
    assert.deepEqual((await callbackOf(locked, own)).due_at, lockedLease)
    await lock.query('rollback')
    await lock.end()
    const longer = async () => Number((await callbackOf(locked, own)).due_at) > Number(lockedLease)
    await eventually('the other lease is longer, too', longer)
    own.clock.advance(7_000)
    await other.drain()
    assert.equal(receiver.requests.length, 2, 'nobody took them over')
    for (const response of held) response.end('ok')
    await eventually('sent', async () => (await stateOf(free, own)) === 'callback_sent')
    await eventually('sent, too', async () => (await stateOf(locked, own)) === 'callback_sent')
  })
})

describe('two workers on one database', () => {
  test('share 500 callbacks: each is delivered once, and both workers take part', async (c) => {
    const inFlight: ServerResponse[] = []
    // One process has at most 64 under way to one receiver, so more at once come from both.
    let most = 0
    const receiver = await receiverFor(c, {
      behaviour: (response) => {
        if (receiver.requests.length <= 2) return void response.end('ok')
        inFlight.push(response)
        most = Math.max(most, inFlight.length)
        if (inFlight.length > 64 || most > 64) for (const waiting of inFlight.splice(0)) waiting.end('ok')
      },
    })
    const own = await startTestApp({ environment: { ...environment, ROLE: 'api' } })
    c.after(() => own.stop())
    const ask = async (count: number): Promise<readonly string[]> => {
      const created = Array.from({ length: count }, () => own.createRequest({ callback_webhook: receiver.url }))
      const ids = (await Promise.all(created)).map((request) => request.id as string)
      await Promise.all(ids.map((id) => answer(id, own)))
      return ids
    }
    const worker = { of: own, environment: { ROLE: 'worker' } }
    const [first, second] = [await anotherApp(c, worker), await anotherApp(c, worker)]
    // A process has more than two under way only once the receiver has replied to it, and a drain that waits claims nothing more.
    const early: string[] = []
    for (const each of [first, second]) {
      early.push(...(await ask(1)))
      await each.drain()
    }
    const ids = [...early, ...(await ask(498))]
    // A drain may end early: what the other worker is about to claim is locked, and skipped.
    const drainAll = async (app: App): Promise<void> => {
      while (receiver.requests.length < 500) await app.drain()
    }
    await Promise.all([drainAll(first), drainAll(second)])
    await Promise.all([first.drain(), second.drain()])
    const posted = receiver.requests.map(({ body }) => JSON.parse(body.toString()).request_id)
    assert.deepEqual(posted.sort(), ids.sort())
    assert.ok(most > 64, `${most} at once`)
    const [states] = await own.sql("select count(*)::int from deliveries where settled = 'sent' and attempts = 1")
    assert.equal(states?.count, 500)
    const [log] = await own.sql('select count(*)::int from delivery_attempts')
    assert.equal(log?.count, 500)
  })
})

describe('one process answers calls, another delivers', () => {
  test('at once when notified; by polling while it cannot listen; when notified again afterwards', async (c) => {
    const own = await startTestApp({ environment: { ROLE: 'api', DATABASE_POOL: '2' }, clock: realClock })
    c.after(() => own.stop())
    const worker = await anotherApp(c, { of: own, environment: { ROLE: 'worker', DATABASE_POOL: '2' } })
    const receiver = await receiverFor(c)
    worker.startWorkers()
    const listeners = () =>
      own.sql("select pid from pg_stat_activity where datname = current_database() and query like 'listen%'")
    const isListening = async () => (await listeners()).length === 1
    await eventually('the worker listens', isListening)

    /** One after the other, so that each meets an idle worker; returns the ms for all. */
    const deliver = async (count: number): Promise<number> => {
      const before = receiver.requests.length
      const began = performance.now()
      for (let sent = 1; sent <= count; sent += 1) {
        await answered(receiver.url, own)
        await receiver.waitFor(before + sent)
      }
      return performance.now() - began
    }
    await deliver(3)
    const hinted = await deliver(10)
    // By polling alone, every 500 ms, ten in a row take about 5 s.
    assert.ok(hinted < 2_500, `${hinted} ms`)

    const { connection } = testServer()
    const administrator = new pg.Client({ ...connection, database: 'postgres' })
    await administrator.connect()
    c.after(() => administrator.end())
    const database = pg.escapeIdentifier(String(own.connection.database))
    await administrator.query(`alter database ${database} allow_connections false`)
    const [listener] = await listeners()
    await own.sql('select pg_terminate_backend($1)', [listener?.pid])
    await eventually('nobody listens', async () => (await listeners()).length === 0)
    await deliver(4)
    assert.equal((await listeners()).length, 0, 'these came by polling')

    await administrator.query(`alter database ${database} allow_connections true`)
    await eventually('the worker listens again', isListening)
    const again = await deliver(10)
    assert.ok(again < 2_500, `${again} ms`)
  })
})

describe('an outage of the database', () => {
  test('is one line for all callbacks that were sent meanwhile and not recorded; each is sent again', async (c) => {
    const lines: Readonly<Record<string, unknown>>[] = []
    const log = createLog('debug', false, { write: (line) => void lines.push(JSON.parse(line)) })
    const own = await startTestApp({ environment, log, clock: realClock })
    c.after(() => own.stop())
    const held: ServerResponse[] = []
    // A receiver that is not known yet gets two at once.
    const receivers = await Promise.all(
      Array.from({ length: 4 }, () => receiverFor(c, { behaviour: (response) => void held.push(response) })),
    )
    const ids = await Promise.all(receivers.flatMap(({ url }) => [answered(url, own), answered(url, own)]))
    for (const receiver of receivers) {
      await receiver.waitFor(2)
      receiver.behave({ body: 'again' })
    }

    const { connection } = testServer()
    const administrator = new pg.Client({ ...connection, user: 'postgres', database: 'postgres' })
    await administrator.connect()
    c.after(() => administrator.end())
    const database = String(own.connection.database)
    const allow = (connections: number) =>
      administrator.query(`alter database ${pg.escapeIdentifier(database)} connection limit ${connections}`)
    await allow(0)
    const others = `select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and usename <> 'postgres'`
    await administrator.query(others, [database])
    for (const response of held) response.end('ok')
    const told = (level: string) =>
      lines.filter((line) => line.level === level && String(line.msg).startsWith('a delivery was not recorded'))
    await eventually('the attempts have ended', () => told('debug').length === 8)
    await allow(-1)
    await eventually('the database is back', async () => (await own.call('GET', '/readyz')).status === 200)
    own.app.startWorkers()
    await own.sql('update deliveries set due_at = now() where lease_token is not null')
    for (const id of ids) await eventually('it is recorded', async () => (await stateOf(id, own)) === 'callback_sent')
    assert.equal(told('error').length, 1)
    assert.equal(lines.find(({ msg }) => msg === 'deliveries are recorded again')?.times, 8)
  })
})

describe('a graceful stop', () => {
  test('lets a delivery under way finish and records it', async (c) => {
    const held: ServerResponse[] = []
    const receiver = await receiverFor(c, { behaviour: (response) => void held.push(response) })
    const leaving = await anotherApp(c)
    const id = await answeredThrough(leaving, receiver.url)
    await receiver.waitFor(1)
    const stopped = leaving.stop()
    held[0]?.end('ok')
    await stopped
    assert.equal(await stateOf(id), 'callback_sent')
    assert.deepEqual(await attemptsOf(id), [[200, true, null]])
  })

  test('gives back what is still under way at its deadline: another process delivers at once, and no attempt is counted', async (c) => {
    const receiver = await receiverFor(c, { behaviour: () => {} })
    const leaving = await anotherApp(c, { environment: { SHUTDOWN_GRACE_SECONDS: '0' } })
    const ids = [await answeredThrough(leaving, receiver.url), await answeredThrough(leaving, receiver.url)]
    await receiver.waitFor(2)
    await leaving.stop()
    await receiver.waitForNoConnection()
    for (const id of ids) {
      assert.deepEqual(await attemptsOf(id), [])
      assert.equal((await callbackOf(id)).due_at?.toISOString(), t.clock.now().toISOString())
    }
    receiver.behave({ status: 200 })
    await t.app.drain()
    for (const id of ids) {
      assert.equal(await stateOf(id), 'callback_sent')
      assert.deepEqual(await attemptsOf(id), [[200, true, null]])
    }
  })

  /** A request answered through this app, which then holds the lease of the callback. */
  async function answeredThrough(app: App, url: string): Promise<string> {
    const { id } = await t.createRequest({ callback_webhook: url })
    const reply = await app.http.inject({
      method: 'POST',
      url: `/api/v1/requests/${id}/respond`,
      headers: { authorization: `Bearer ${t.reviewer.token}` },
      payload: { decision: 'approve' },
    })
    assert.equal(reply.statusCode, 200, reply.body)
    return id
  }
})

test('the callback of a timeout is never early and comes within a second', async (c) => {
  const own = await startTestApp({ environment, clock: realClock, workers: true })
  c.after(() => own.stop())
  const receiver = await receiverFor(c)
  const due = new Map<string, number>()
  for (let made = 0; made < 20; made += 1) {
    const { id } = await own.createRequest({ callback_webhook: receiver.url, timeout_minutes: 1 })
    const at = Date.now() + 1_000 + made * 70
    const sql = 'update consultation_requests set timeout_at = $2, next_action_at = $2 where id = $1'
    await own.sql(sql, [id, new Date(at)])
    due.set(id, at)
  }
  for (const { body, at } of await receiver.waitFor(due.size)) {
    const { event, request_id: id } = JSON.parse(body.toString())
    const late = at - (due.get(id) ?? 0)
    assert.equal(event, 'request.timeout')
    assert.ok(late >= 0 && late <= 1_000, `${late} ms after its time`)
  }
})
