import assert from 'node:assert/strict'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { after, before, describe, type TestContext, test } from 'node:test'
import pg from 'pg'
import { createAccessTokens } from '../../src/identity/access-token.ts'
import { createLog } from '../../src/platform/log.ts'
import { requestsAsShown } from '../consultations/table-contents.ts'
import { eventually } from '../eventually.ts'
import { type FakeClock, type Reply, secretKey, startTestApp, type TestApp } from '../harness.ts'
import { freePort, receiverFor } from '../receivers.ts'

const realClock: FakeClock = { now: () => new Date(), advance: () => {} }
const tokens = createAccessTokens(secretKey, 30)

/** A new token for every call, because the clock moves by days here. */
const tokenOf = async (t: TestApp, { id: userId, sessionId } = t.reviewer): Promise<string> =>
  (await tokens.sign({ organizationId: t.organizationId, userId, sessionId }, t.clock.now())).token

async function answered(t: TestApp, url: string, fields: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const { id } = await t.createRequest({ callback_webhook: url, ...fields })
  const body = { decision: 'approve' }
  const reply = await t.call('POST', `/api/v1/requests/${id}/respond`, { as: await tokenOf(t), body })
  assert.equal(reply.status, 200, reply.text)
  return id
}

const read = async (t: TestApp, id: string): Promise<Reply['body']> =>
  (await t.call('GET', `/api/v1/requests/${id}`, { as: t.apiKey })).body

const kinds = async (t: TestApp, id: string): Promise<readonly unknown[]> =>
  (await t.sql(`select kind from events where subject_id = $1 order by id`, [id])).map(({ kind }) => kind)

/** Moves the clock on in steps, doing what is due at each. */
async function pass(t: TestApp, seconds: number, step = 1): Promise<void> {
  for (let passed = 0; passed < seconds; passed += step) {
    t.clock.advance(step * 1_000)
    await t.app.drain()
  }
}

describe('the recovery', () => {
  let t: TestApp
  before(async () => {
    t = await startTestApp()
  })
  after(() => t.stop())

  async function failed(url: string): Promise<string> {
    const id = await answered(t, url)
    await t.app.drain()
    await pass(t, 19)
    const { state, callback } = await read(t, id)
    assert.deepEqual([state, callback.status, callback.attempts], ['callback_failed', 'failed', 4])
    return id
  }

  test('after 2, 4 and 8 s the state is callback_failed; then after 1 m, 5 m, 30 m, 2 h, 5 h and 10 h; then nothing more', async (c) => {
    const receiver = await receiverFor(c, { behaviour: { status: 404 } })
    const id = await failed(receiver.url)
    for (const [at, seconds] of [60, 300, 1_800, 7_200, 18_000, 36_000].entries()) {
      const { callback } = await read(t, id)
      const wait = Date.parse(callback.next_attempt_at) - t.clock.now().getTime()
      // Jitter, and the step of the clock in which the attempt was made.
      assert.ok(wait > (seconds - 6) * 1_000 && wait <= seconds * 1_100, `${wait} ms for ${seconds} s`)
      t.clock.advance(wait - 1)
      await t.app.drain()
      assert.equal(receiver.requests.length, 4 + at, 'not early')
      t.clock.advance(1)
      await t.app.drain()
      assert.equal(receiver.requests.length, 5 + at)
    }
    const { state, callback } = await read(t, id)
    assert.deepEqual([state, callback.attempts, callback.next_attempt_at], ['callback_failed', 10, null])
    await pass(t, 86_400 * 3, 86_400)
    assert.equal(receiver.requests.length, 10)
    const ends = ['request.callback_failed', 'request.callback_abandoned']
    assert.deepEqual(await kinds(t, id), ['request.created', 'request.responded', ...ends])
  })

  test('ends in callback_sent, with the same bytes and webhook-id', async (c) => {
    const receiver = await receiverFor(c, { behaviour: { status: 404 } })
    const id = await failed(receiver.url)
    receiver.behave({ status: 200 })
    await pass(t, 68)
    const { state, callback } = await read(t, id)
    assert.deepEqual([state, callback.status, callback.next_attempt_at], ['callback_sent', 'sent', null])
    assert.equal(new Set(receiver.requests.map(({ headers }) => headers['webhook-id'])).size, 1)
    assert.equal(new Set(receiver.requests.map(({ body }) => body.toString())).size, 1)
    const ends = ['request.callback_failed', 'request.callback_sent']
    assert.deepEqual(await kinds(t, id), ['request.created', 'request.responded', ...ends])
  })

  test('410 stops it at once, and Retry-After is honoured', async (c) => {
    const receiver = await receiverFor(c, { behaviour: { status: 404 } })
    const id = await failed(receiver.url)
    receiver.behave({ status: 503, headers: { 'retry-after': '1000' } })
    await pass(t, 68)
    const { callback } = await read(t, id)
    assert.ok(Date.parse(callback.next_attempt_at) - t.clock.now().getTime() > 990_000)
    receiver.behave({ status: 410 })
    await pass(t, 1_001, 1_001)
    const { state, callback: last } = await read(t, id)
    assert.deepEqual([state, last.attempts, last.next_attempt_at], ['callback_failed', 6, null])
  })

  test('of a request with a schedule of its own there is none', async (c) => {
    const receiver = await receiverFor(c, { behaviour: { status: 404 } })
    const id = await answered(t, receiver.url, { callback_retry_seconds: [1] })
    await t.app.drain()
    await pass(t, 3)
    const { state, callback } = await read(t, id)
    assert.deepEqual([state, callback.attempts, callback.next_attempt_at], ['callback_failed', 2, null])
  })

  test('a redelivery on request is made at once, and begins the schedule anew', async (c) => {
    const receiver = await receiverFor(c, { behaviour: { status: 404 } })
    const id = await failed(receiver.url)
    const redeliver = async () => t.call('POST', `/api/v1/requests/${id}/redeliver`, { as: await tokenOf(t) })
    assert.equal((await redeliver()).status, 202)
    await t.app.drain()
    assert.equal(receiver.requests.length, 5)
    assert.equal((await read(t, id)).callback.status, 'delivering')
    await pass(t, 19)
    assert.equal(receiver.requests.length, 8)
    receiver.behave({ status: 200 })
    assert.equal((await redeliver()).status, 202)
    await t.app.drain()
    assert.equal((await read(t, id)).state, 'callback_sent')
  })

  test('an operator may turn it off: CALLBACK_RECOVERY_SECONDS is empty', async (c) => {
    const own = await startTestApp({ environment: { CALLBACK_RECOVERY_SECONDS: '' } })
    c.after(() => own.stop())
    const receiver = await receiverFor(c, { behaviour: { status: 404 } })
    const id = await answered(own, receiver.url)
    await own.app.drain()
    await pass(own, 19)
    const { state, callback } = await read(own, id)
    assert.deepEqual([state, callback.attempts, callback.next_attempt_at], ['callback_failed', 4, null])
  })
})

describe('behind an open breaker', () => {
  /** Receives at this port from the time on at which the test calls it. */
  async function listenAt(c: TestContext, port: number, received: string[]): Promise<Server> {
    const server = createServer((request, response) => {
      received.push(String(request.headers['webhook-id']))
      request.resume().on('end', () => response.end('ok'))
    })
    await new Promise<void>((listening) => server.listen(port, '127.0.0.1', listening))
    c.after(() => server.close())
    return server
  }

  test('600 callbacks to a receiver that refuses connections for 25 s all arrive soon after it is back', async (c) => {
    const lines: string[] = []
    const log = createLog('warn', false, { write: (line: string) => void lines.push(line) })
    const t = await startTestApp({ log })
    c.after(() => t.stop())
    const port = await freePort()
    const url = `http://127.0.0.1:${port}/hook`
    const ids: string[] = []
    for (let made = 0; made < 600; made += 1) {
      ids.push(await answered(t, url))
      // As they are decided within the first 12 s.
      if (made % 50 === 49) await pass(t, 1)
    }
    await pass(t, 13)
    const states = async () =>
      t.sql(
        `select shown as state, max(callback_attempts)::int as attempts, count(*)::int from ${requestsAsShown}
         where id = any($1) group by 1`,
        [ids],
      )
    const [during] = await states()
    assert.ok((during?.attempts as number) <= 4, `${during?.attempts} attempts`)
    const received: string[] = []
    await listenAt(c, port, received)
    await pass(t, 8)
    assert.deepEqual(
      (await states()).map(({ state, count }) => [state, count]),
      [['callback_sent', 600]],
    )
    assert.equal(new Set(received).size, 600)

    const events = await t.sql(`select kind, record, erasable from events where kind like 'breaker.%' order by id`)
    assert.deepEqual(
      events.map(({ kind, erasable }) => [kind, JSON.parse(String(erasable)).target]),
      [
        ['breaker.opened', `http://127.0.0.1:${port}`],
        ['breaker.closed', `http://127.0.0.1:${port}`],
      ],
    )
    assert.equal(lines.filter((line) => line.includes('its breaker is open')).length, 1)
    assert.equal(lines.filter((line) => line.includes('its breaker is closed')).length, 1)
    assert.equal(lines.filter((line) => line.includes('tried again at longer intervals')).length, 1)
    assert.ok(lines.length < 10, lines.join(''))
  })

  test('what waits says callback_failed once its quick retries would be over, without an attempt, and is sent when the receiver is back', async (c) => {
    const t = await startTestApp()
    c.after(() => t.stop())
    const receiver = await receiverFor(c, { behaviour: { status: 500 } })
    for (let made = 0; made < 10; made += 1) await answered(t, receiver.url)
    await t.app.drain()
    const late: string[] = []
    for (let made = 0; made < 40; made += 1) late.push(await answered(t, receiver.url))
    await pass(t, 40)
    const waiting = await Promise.all(late.map((id) => read(t, id)))
    const untried = waiting.filter(({ callback }) => callback.attempts === 0)
    assert.ok(untried.length >= 25, `${untried.length}`)
    // All but the one that is tried next.
    const failed = untried.filter(({ state }) => state === 'callback_failed')
    assert.ok(failed.length >= untried.length - 1, `${failed.length} of ${untried.length}`)
    for (const { callback } of failed) {
      assert.equal(callback.status, 'failed')
      assert.match(callback.last_error, /does not reply/)
      assert.ok(callback.next_attempt_at !== null)
    }
    const before = receiver.requests.length
    await pass(t, 7_200, 60)
    const probes = receiver.requests.length - before
    assert.ok(probes >= 20 && probes <= 125, `${probes} probes in two hours`)
    receiver.behave({ status: 200 })
    await pass(t, 240, 20)
    const [sent] = await t.sql(`select count(*)::int from ${requestsAsShown} where shown = 'callback_sent'`)
    assert.equal(sent?.count, 50)
  })

  test('what was being held back when the receiver was back is sent too', async (c) => {
    // A busy machine may need a while for what happens under the lock, which two connections of the worker wait for.
    const t = await startTestApp({ environment: { DATABASE_STATEMENT_SECONDS: '60', DATABASE_POOL: '20' } })
    const other = new pg.Client({ ...t.connection, user: 'postgres' })
    c.after(async () => {
      await other.end()
      await t.stop()
    })
    const receiver = await receiverFor(c, { behaviour: { status: 500 } })
    for (let made = 0; made < 40; made += 1) await answered(t, receiver.url)
    await pass(t, 3_600, 60)
    const replies: ServerResponse[] = []
    receiver.behave((response) => void replies.push(response))
    // Whoever records that they are held back waits for this lock.
    await other.connect()
    await other.query('begin')
    await other.query('lock table delivery_attempts in share mode')
    t.clock.advance(900_000)
    const drained = t.app.drain()
    const leased = 'select 1 from deliveries where lease_token is not null'
    const closed = `select 1 from events where kind = 'breaker.closed'`
    await eventually('some are held back beside the one that is tried', async () => (await t.sql(leased)).length > 1)
    await eventually('one is tried', () => replies.length > 0)
    receiver.behave({ status: 200 })
    for (const response of replies) response.end()
    await eventually('its breaker is closed', async () => (await t.sql(closed)).length === 1)
    await other.query('commit')
    await other.end()
    await drained
    await t.app.drain()
    const states = await t.sql(
      `select shown as state, count(*)::int from ${requestsAsShown} where callback_url is not null group by 1`,
    )
    assert.deepEqual(states, [{ state: 'callback_sent', count: 40 }])
  })

  test('a receiver that is never back: every callback is given up after some days, and none has more attempts than its schedule', async (c) => {
    const t = await startTestApp()
    c.after(() => t.stop())
    const receiver = await receiverFor(c, { behaviour: { status: 500 } })
    for (let made = 0; made < 30; made += 1) await answered(t, receiver.url)
    await pass(t, 4 * 86_400, 1_200)
    const [left] = await t.sql(
      `select count(*) filter (where due_at is not null)::int as due, max(attempts)::int as most from deliveries`,
    )
    assert.equal(left?.due, 0)
    assert.ok((left?.most as number) <= 10, `${left?.most}`)
    const reported = await t.sql(`select kind, count(*)::int from events where kind like '%abandoned' group by 1`)
    assert.deepEqual(reported, [{ kind: 'request.callback_abandoned', count: 30 }])
  })

  test('a redelivery on request goes through it at once', async (c) => {
    const t = await startTestApp()
    c.after(() => t.stop())
    const receiver = await receiverFor(c, { behaviour: { status: 500 } })
    const ids: string[] = []
    for (let made = 0; made < 12; made += 1) ids.push(await answered(t, receiver.url))
    await pass(t, 600, 30)
    receiver.behave({ status: 200 })
    const as = await tokenOf(t)
    for (const id of ids.slice(0, 1)) {
      const reply = await t.call('POST', `/api/v1/requests/${id}/redeliver`, { as })
      assert.equal(reply.status, 202, reply.text)
    }
    await t.app.drain()
    const [sent] = await t.sql(`select count(*)::int from ${requestsAsShown} where shown = 'callback_sent'`)
    assert.equal(sent?.count, 12, 'and those that waited come with it')
  })

  test('a receiver whose breaker opens all the time does not flood the audit', async (c) => {
    const t = await startTestApp()
    c.after(() => t.stop())
    const bad = await receiverFor(c, { behaviour: { status: 500 } })
    for (let round = 0; round < 6; round += 1) {
      bad.behave({ status: 500 })
      for (let made = 0; made < 10; made += 1) await answered(t, bad.url)
      await t.app.drain()
      bad.behave({ status: 200 })
      await pass(t, 20)
    }
    const reported = await t.sql(
      `select kind, count(*)::int from events where kind like 'breaker.%' group by 1 order by 1`,
    )
    assert.deepEqual(reported, [
      { kind: 'breaker.closed', count: 1 },
      { kind: 'breaker.opened', count: 1 },
    ])
  })

  test('what a receiver asked to wait for is not brought forward', async (c) => {
    const t = await startTestApp()
    c.after(() => t.stop())
    const receiver = await receiverFor(c, { behaviour: { status: 503, headers: { 'retry-after': '3600' } } })
    const asked = await answered(t, receiver.url)
    await t.app.drain()
    receiver.behave({ status: 500 })
    for (let made = 0; made < 10; made += 1) await answered(t, receiver.url)
    await t.app.drain()
    receiver.behave({ status: 200 })
    await pass(t, 60)
    const [sent] = await t.sql(`select count(*)::int from ${requestsAsShown} where shown = 'callback_sent'`)
    assert.equal(sent?.count, 10)
    assert.equal((await read(t, asked)).callback.attempts, 1)
    await pass(t, 3_600, 3_600)
    assert.equal((await read(t, asked)).state, 'callback_sent')
  })
})

describe('callbacks that hang', () => {
  test('at 100 hosts of the only organization do not make the others late', async (c) => {
    const t = await startTestApp({ clock: realClock, workers: true })
    c.after(() => t.stop())
    const hanging = await Promise.all(Array.from({ length: 100 }, () => receiverFor(c, { behaviour: () => {} })))
    const decidedAt = new Map<string, number>()
    const decide = async (url: string): Promise<void> => {
      const id = await answered(t, url)
      decidedAt.set(id, Date.now())
    }
    // More than there are slots.
    for (let round = 0; round < 12; round += 1) await Promise.all(hanging.map(({ url }) => decide(url)))
    await eventually('every one of them hangs', () => hanging.every(({ requests }) => requests.length > 0))
    const healthy = await Promise.all(Array.from({ length: 5 }, () => receiverFor(c)))
    for (let round = 0; round < 30; round += 1) await Promise.all(healthy.map(({ url }) => decide(url)))
    await Promise.all(healthy.map((receiver) => receiver.waitFor(30)))
    const late = healthy
      .flatMap(({ requests }) => requests)
      .map(({ body, at }) => at - (decidedAt.get(JSON.parse(body.toString()).request_id) ?? 0))
      .sort((one, other) => one - other)
    const [median = 0, most = 0] = [late[75], late.at(-1)]
    c.diagnostic(`p50 ${median} ms, longest ${most} ms`)
    assert.ok(median < 300, `p50 ${median} ms`)
    assert.ok(most < 3_000, `longest ${most} ms`)
  })
})
