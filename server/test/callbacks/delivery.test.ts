import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { after, before, describe, type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { createApp } from '../../src/app.ts'
import { createAccessTokens } from '../../src/identity/access-token.ts'
import { createLog } from '../../src/platform/log.ts'
import { selfSigned } from '../certificates.ts'
import { requestsAsShown } from '../consultations/table-contents.ts'
import { type Reply, secretKey, startTestApp, type TestApp, testConfig } from '../harness.ts'
import { freePort, rawReceiverFor, receiverFor } from '../receivers.ts'

/** Short, so that a receiver that hangs costs only a second. */
const environment = { CALLBACK_TIMEOUT_SECONDS: '1', CALLBACK_ALLOW: '127.0.0.0/8,localhost' }
const tokens = createAccessTokens(secretKey, 30)
let t: TestApp
before(async () => {
  t = await startTestApp({ environment })
})
after(() => t.stop())

/** A new token for every call, because the clock moves by days here. */
async function reviewerToken(): Promise<string> {
  const { organizationId, reviewer, clock } = t
  const { id: userId, sessionId } = reviewer
  return (await tokens.sign({ organizationId, userId, sessionId }, clock.now())).token
}

/** A request that a reviewer answered, with its callback under way. */
async function answered(fields: Readonly<Record<string, unknown>>): Promise<string> {
  const { id } = await t.createRequest(fields)
  const reply = await t.call('POST', `/api/v1/requests/${id}/respond`, {
    as: await reviewerToken(),
    body: { decision: 'reject', comment: 'not now' },
  })
  assert.equal(reply.status, 200, reply.text)
  assert.equal(reply.body.state, 'responded')
  assert.deepEqual(reply.body.callback, {
    status: 'pending',
    attempts: 0,
    next_attempt_at: t.clock.now().toISOString(),
    last_error: null,
  })
  return id
}

async function read(id: string): Promise<Reply['body']> {
  return (await t.call('GET', `/api/v1/requests/${id}`, { as: t.apiKey })).body
}

async function deliveriesOf(id: string): Promise<Reply['body'][]> {
  const reply = await t.call('GET', `/api/v1/requests/${id}/deliveries`, { as: t.apiKey })
  assert.equal(reply.status, 200, reply.text)
  return reply.body.items
}

async function kindsOfEvents(id: string): Promise<readonly unknown[]> {
  const rows = await t.sql('select kind from events where subject_id = $1 order by id', [id])
  return rows.map((row) => row.kind)
}

/** Makes a single attempt and checks what the log and the request say about it. */
async function soleAttempt(url: string) {
  const id = await answered({ callback_webhook: url, callback_retry_seconds: [] })
  await t.app.drain()
  const request = await read(id)
  const log = await deliveriesOf(id)
  assert.equal(log.length, 1, 'one attempt')
  assert.equal(log[0].attempt, 1)
  assert.equal(log[0].url, url)
  assert.equal(request.callback.attempts, 1)
  assert.equal(request.callback.next_attempt_at, null)
  return { id, request, delivery: log[0] }
}

async function failsWith(url: string, code: string | null, status: number | null, error: RegExp): Promise<void> {
  const { id, request, delivery } = await soleAttempt(url)
  assert.equal(request.state, 'callback_failed')
  assert.equal(request.callback.status, 'failed')
  assert.equal(request.callback_sent_at, null)
  assert.match(request.callback.last_error, error)
  assert.equal(delivery.succeeded, false)
  assert.equal(delivery.error_code, code)
  assert.equal(delivery.status_code, status)
  assert.deepEqual(await kindsOfEvents(id), ['request.created', 'request.responded', 'request.callback_failed'])
}

async function succeedsWith(url: string, status: number) {
  const { id, request, delivery } = await soleAttempt(url)
  assert.equal(request.state, 'callback_sent')
  assert.deepEqual(request.callback, { status: 'sent', attempts: 1, next_attempt_at: null, last_error: null })
  assert.equal(request.callback_sent_at, t.clock.now().toISOString())
  assert.equal(delivery.succeeded, true)
  assert.equal(delivery.status_code, status)
  assert.equal(delivery.error_code, null)
  assert.equal(delivery.error, null)
  assert.deepEqual(await kindsOfEvents(id), ['request.created', 'request.responded', 'request.callback_sent'])
  return delivery
}

describe('a receiver that takes the callback', () => {
  for (const status of [200, 201, 202, 204]) {
    test(`with ${status}: callback_sent, and the reply is in the log`, async (c) => {
      const receiver = await receiverFor(c, { behaviour: { status, body: status === 204 ? '' : 'thanks: ✓' } })
      const delivery = await succeedsWith(`${receiver.url}/hook`, status)
      assert.equal(delivery.reply, status === 204 ? '' : 'thanks: ✓')
      assert.equal(delivery.webhook_id, receiver.requests[0]?.headers['webhook-id'])
      assert.equal(receiver.requests.length, 1)
    })
  }

  test('gets everything that the agent needs in the body', async (c) => {
    const receiver = await receiverFor(c)
    const id = await answered({ callback_webhook: receiver.url, metadata: { run: 7, when: '2026-01-31' } })
    await t.app.drain()
    const [post] = receiver.requests
    const { certificate, digest, ...told } = JSON.parse(post?.body.toString() ?? '')
    const request = await read(id)
    assert.deepEqual([certificate, digest], [request.certificate, request.digest])
    assert.deepEqual(told, {
      event: 'request.responded',
      request_id: id,
      metadata: { run: 7, when: '2026-01-31' },
      response: {
        decision: 'reject',
        comment: 'not now',
        responder_id: t.reviewer.id,
        responder: { id: t.reviewer.id, name: 'Robin Reviewer' },
        responded_at: t.clock.now().toISOString(),
        choices: null,
        data: null,
        args: null,
        args_patch: null,
        attachments: null,
        revision: 1,
      },
      timestamp: t.clock.now().toISOString(),
      state: 'responded',
      revision: 1,
    })
  })

  test('slowly, but within the timeout', async (c) => {
    const receiver = await receiverFor(c, {
      behaviour: (response) => void setTimeout(() => response.end('at last'), 300),
    })
    const delivery = await succeedsWith(receiver.url, 200)
    assert.ok(delivery.duration_ms >= 295, `${delivery.duration_ms} ms`)
  })

  test('with a huge reply: read up to 64 KiB, logged up to 1 000 characters, then hung up on', async (c) => {
    let sent = 0
    const receiver = await rawReceiverFor(c, (socket) => {
      const chunk = Buffer.alloc(64 * 1024, 'é')
      const more = () => {
        while (!socket.destroyed && socket.write(chunk)) sent += chunk.length
      }
      socket.once('data', () => {
        socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${2 ** 33}\r\n\r\n`)
        socket.on('drain', more)
        more()
      })
    })
    const delivery = await succeedsWith(receiver.url, 200)
    assert.equal(delivery.reply, 'é'.repeat(1_000))
    await receiver.waitForNoConnection()
    assert.ok(sent < 64 * 2 ** 20, `${sent} bytes were taken`)
  })

  test('with a gzip bomb: never unpacked', async (c) => {
    const bomb = gzipSync(Buffer.alloc(64 * 2 ** 20))
    const receiver = await receiverFor(c, { behaviour: { headers: { 'content-encoding': 'gzip' }, body: bomb } })
    const delivery = await succeedsWith(receiver.url, 200)
    assert.ok(delivery.reply.length <= 1_000)
    assert.equal(receiver.requests[0]?.headers['accept-encoding'], 'identity')
  })

  test('with NUL, terminal codes and broken UTF-8 in the reply: logged as harmless text', async (c) => {
    const body = Buffer.concat([Buffer.from('a\u0000b\u001b[31m'), Buffer.of(0xff, 0xc3)])
    const receiver = await receiverFor(c, { behaviour: { body } })
    const delivery = await succeedsWith(receiver.url, 200)
    assert.equal(delivery.reply, 'a\uFFFDb\uFFFD[31m\uFFFD\uFFFD')
  })
})

describe('a receiver that does not', () => {
  test('hangs: the attempt ends at the timeout', async (c) => {
    const receiver = await receiverFor(c, { behaviour: () => {} })
    await failsWith(receiver.url, 'timeout', null, /^No reply came within 1000 ms\.$/)
    await receiver.waitForNoConnection()
  })

  test('trickles its reply: the timeout is for the whole attempt', async (c) => {
    const receiver = await receiverFor(c, {
      behaviour: (response) => {
        response.writeHead(200, { 'content-length': 1_000 })
        const drip = setInterval(() => response.write('.'), 50)
        response.once('close', () => clearInterval(drip))
      },
    })
    await failsWith(receiver.url, 'timeout', 200, /^The reply was not complete within 1000 ms\.$/)
    await receiver.waitForNoConnection()
  })

  test('resets the connection', async (c) => {
    const receiver = await rawReceiverFor(c, (socket) => socket.once('data', () => socket.resetAndDestroy()))
    await failsWith(receiver.url, 'reset', null, /^The connection ended before the whole reply had arrived/)
  })

  test('breaks off in the middle of a 200', async (c) => {
    const receiver = await rawReceiverFor(c, (socket) =>
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nonly')),
    )
    await failsWith(receiver.url, 'reset', 200, /^The connection ended/)
  })

  test('does not exist', async () => {
    await failsWith(`http://127.0.0.1:${await freePort()}`, 'connect', null, /ECONNREFUSED/)
  })

  test('has a certificate that no trusted authority signed', async (c) => {
    const receiver = await receiverFor(c, { tls: selfSigned(['localhost']) })
    await failsWith(receiver.url, 'tls', null, /^No trusted TLS connection could be made/)
    assert.equal(receiver.requests.length, 0)
  })

  test('does not speak HTTP', async (c) => {
    const receiver = await rawReceiverFor(c, (socket) => socket.once('data', () => socket.end('SSH-2.0-nothing\r\n')))
    await failsWith(receiver.url, 'protocol', null, /not well-formed HTTP/)
  })

  for (const status of [301, 302, 303, 307, 308]) {
    test(`redirects with ${status}: a failed attempt, never followed`, async (c) => {
      const other = await receiverFor(c)
      const receiver = await receiverFor(c, { behaviour: { status, headers: { location: other.url } } })
      await failsWith(receiver.url, 'redirect', status, new RegExp(`redirects \\(${status}\\)`))
      assert.equal(other.connections, 0)
    })
  }

  for (const status of [400, 404, 500, 503]) {
    test(`returns ${status}`, async (c) => {
      const receiver = await receiverFor(c, { behaviour: { status, body: 'no' } })
      await failsWith(receiver.url, null, status, new RegExp(`replied ${status}; only 2xx counts`))
    })
  }
})

describe('the retry schedule', () => {
  /** Moves the clock to just before the announced time and then to it; returns the wait in ms. */
  async function untilNextAttempt(id: string, attempts: () => number): Promise<number> {
    const { callback } = await read(id)
    const wait = Date.parse(callback.next_attempt_at) - t.clock.now().getTime()
    const before = attempts()
    t.clock.advance(wait - 1)
    await t.app.drain()
    assert.equal(attempts(), before, 'not a millisecond early')
    t.clock.advance(1)
    await t.app.drain()
    assert.equal(attempts(), before + 1, 'on time')
    return wait
  }

  function assertWait(waited: number, seconds: number): void {
    assert.ok(waited >= seconds * 1_000 && waited <= seconds * 1_100, `${waited} ms for ${seconds} s`)
  }

  test('default: 4 attempts after 2, 4 and 8 s with one webhook-id and the same bytes, then callback_failed', async (c) => {
    const statuses = [500, 404, 502, 418]
    const receiver = await receiverFor(c, {
      behaviour: (response, _, count) => response.writeHead(statuses[count - 1] ?? 200).end(`reply ${count}`),
    })
    const id = await answered({ callback_webhook: receiver.url, callback_secret: 'shared', metadata: { n: 1 } })
    await t.app.drain()
    for (const [at, seconds] of [2, 4, 8].entries()) {
      const request = await read(id)
      assert.equal(request.state, 'responded')
      assert.equal(request.callback.status, 'delivering')
      assert.equal(request.callback.attempts, at + 1)
      assert.match(request.callback.last_error, new RegExp(`replied ${statuses[at]}`))
      assert.ok(!request.allowed_actions.includes('redeliver'))
      assertWait(await untilNextAttempt(id, () => receiver.requests.length), seconds)
    }
    const { callback: progress, ...request } = await read(id)
    const { next_attempt_at: recovery, ...callback } = progress
    assertWait(Date.parse(recovery) - t.clock.now().getTime(), 60)
    assert.equal(request.state, 'callback_failed')
    assert.deepEqual(callback, {
      status: 'failed',
      attempts: 4,
      last_error: 'The receiver replied 418; only 2xx counts as received.',
    })
    assert.ok(request.allowed_actions.includes('redeliver'))
    const log = await deliveriesOf(id)
    const shown = log.map((row) => [row.attempt, row.status_code, row.reply, row.succeeded, row.error_code])
    assert.deepEqual(shown, [
      [4, 418, 'reply 4', false, null],
      [3, 502, 'reply 3', false, null],
      [2, 404, 'reply 2', false, null],
      [1, 500, 'reply 1', false, null],
    ])
    const [first] = receiver.requests
    const timestamps = new Set<unknown>()
    for (const { headers, body } of receiver.requests) {
      assert.equal(headers['webhook-id'], log[0].webhook_id)
      assert.deepEqual(body, first?.body)
      assert.equal(headers['x-webhook-signature'], first?.headers['x-webhook-signature'])
      timestamps.add(headers['webhook-timestamp'])
    }
    assert.equal(timestamps.size, 4, 'each attempt is signed for its own time')
    const kinds = ['request.created', 'request.responded', 'request.callback_failed']
    assert.deepEqual(await kindsOfEvents(id), kinds)
  })

  test('a retry that succeeds: callback_sent, and the last error is cleared', async (c) => {
    const receiver = await receiverFor(c, {
      behaviour: (response, _, count) => response.writeHead(count < 3 ? 500 : 200).end(),
    })
    const id = await answered({ callback_webhook: receiver.url })
    await t.app.drain()
    await untilNextAttempt(id, () => receiver.requests.length)
    await untilNextAttempt(id, () => receiver.requests.length)
    const request = await read(id)
    assert.equal(request.state, 'callback_sent')
    assert.deepEqual(request.callback, { status: 'sent', attempts: 3, next_attempt_at: null, last_error: null })
    assert.equal(request.callback_sent_at, t.clock.now().toISOString())
  })

  test('the waits of a request are used, even days', async (c) => {
    const receiver = await receiverFor(c, { behaviour: { status: 500 } })
    const waits = [1, 259_200, 30]
    const id = await answered({ callback_webhook: receiver.url, callback_retry_seconds: waits })
    await t.app.drain()
    for (const seconds of waits) assertWait(await untilNextAttempt(id, () => receiver.requests.length), seconds)
    assert.equal((await read(id)).state, 'callback_failed')
  })

  test('[]: one attempt only', async (c) => {
    const receiver = await receiverFor(c, { behaviour: { status: 500 } })
    await failsWith(receiver.url, null, 500, /replied 500/)
    assert.equal(receiver.requests.length, 1)
  })

  test('waits of 0: retried at once', async (c) => {
    const receiver = await receiverFor(c, { behaviour: { status: 500 } })
    const id = await answered({ callback_webhook: receiver.url, callback_retry_seconds: [0, 0] })
    await t.app.drain()
    assert.equal((await read(id)).state, 'callback_failed')
    assert.equal(receiver.requests.length, 3)
  })

  test('410 Gone stops at once', async (c) => {
    const receiver = await receiverFor(c, { behaviour: { status: 410, headers: { 'retry-after': '1' } } })
    const id = await answered({ callback_webhook: receiver.url })
    await t.app.drain()
    const request = await read(id)
    assert.equal(request.state, 'callback_failed')
    assert.equal(request.callback.attempts, 1)
    assert.match(request.callback.last_error, /410/)
  })

  for (const status of [429, 503]) {
    test(`${status} with Retry-After in seconds: waits that long`, async (c) => {
      const receiver = await receiverFor(c, { behaviour: { status, headers: { 'retry-after': '120' } } })
      const id = await answered({ callback_webhook: receiver.url })
      await t.app.drain()
      assert.equal(await untilNextAttempt(id, () => receiver.requests.length), 120_000)
    })

    test(`${status} with a Retry-After shorter than the schedule: waits as scheduled`, async (c) => {
      const receiver = await receiverFor(c, { behaviour: { status, headers: { 'retry-after': '1' } } })
      const id = await answered({ callback_webhook: receiver.url })
      await t.app.drain()
      assertWait(await untilNextAttempt(id, () => receiver.requests.length), 2)
    })

    test(`${status} with Retry-After as a date: waits until then`, async (c) => {
      const behaviour = (response: ServerResponse) => {
        const date = new Date(t.clock.now().getTime() + 300_000).toUTCString()
        response.writeHead(status, { 'retry-after': date }).end()
      }
      const receiver = await receiverFor(c, { behaviour })
      const id = await answered({ callback_webhook: receiver.url })
      await t.app.drain()
      const waited = await untilNextAttempt(id, () => receiver.requests.length)
      // An HTTP-date has whole seconds.
      assert.ok(waited >= 298_000 && waited <= 301_000, `${waited} ms`)
    })
  }
})

describe('other endings', () => {
  test('a timeout: request.timeout without a response, and the state stays timeout', async (c) => {
    const receiver = await receiverFor(c)
    const { id } = await t.createRequest({ callback_webhook: receiver.url, timeout_minutes: 5, metadata: { a: 1 } })
    t.clock.advance(299_999)
    await t.app.drain()
    assert.equal(receiver.requests.length, 0)
    t.clock.advance(1)
    await t.app.drain()
    const request = await read(id)
    assert.equal(request.state, 'timeout')
    assert.equal(request.callback.status, 'sent')
    assert.equal(request.callback_sent_at, t.clock.now().toISOString())
    const { timestamp, digest, ...body } = JSON.parse(receiver.requests[0]?.body.toString() ?? '')
    assert.equal(digest, request.digest)
    const common = { request_id: id, metadata: { a: 1 }, response: null, revision: 1, certificate: null }
    assert.deepEqual(body, { event: 'request.timeout', state: 'timeout', ...common })
    assert.equal(timestamp, request.timeout_at)
    assert.deepEqual(await kindsOfEvents(id), ['request.created', 'request.timed_out', 'request.callback_sent'])
  })

  test('a cancelled request: request.cancelled, and the state stays cancelled', async (c) => {
    const receiver = await receiverFor(c)
    const { id } = await t.createRequest({ callback_webhook: receiver.url })
    const reply = await t.call('POST', `/api/v1/requests/${id}/cancel`, { as: t.apiKey })
    assert.equal(reply.status, 200, reply.text)
    await t.app.drain()
    const request = await read(id)
    assert.equal(request.state, 'cancelled')
    assert.equal(request.callback.status, 'sent')
    const { event, state, response } = JSON.parse(receiver.requests[0]?.body.toString() ?? '')
    assert.deepEqual({ event, state, response }, { event: 'request.cancelled', state: 'cancelled', response: null })
  })

  test('the last failure of a timeout’s callback: the state stays timeout, the callback is failed', async (c) => {
    const receiver = await receiverFor(c, { behaviour: { status: 410 } })
    const { id } = await t.createRequest({ callback_webhook: receiver.url, timeout_minutes: 1 })
    t.clock.advance(60_000)
    await t.app.drain()
    const request = await read(id)
    assert.equal(request.state, 'timeout')
    assert.equal(request.callback.status, 'failed')
  })

  test('no callback_webhook: stays responded, nothing is logged', async () => {
    const { id } = await t.createRequest()
    const body = { decision: 'approve' }
    await t.call('POST', `/api/v1/requests/${id}/respond`, { as: await reviewerToken(), body })
    await t.app.drain()
    const request = await read(id)
    assert.equal(request.state, 'responded')
    assert.equal(request.callback.status, 'none')
    assert.deepEqual(await deliveriesOf(id), [])
    assert.equal((await redeliver(id)).status, 409)
  })
})

async function redeliver(id: string, as?: string): Promise<Reply> {
  return t.call('POST', `/api/v1/requests/${id}/redeliver`, { as: as ?? (await reviewerToken()) })
}

describe('a redelivery', () => {
  test('after callback_failed: the same id and bytes, a new round of attempts, callback_sent', async (c) => {
    const receiver = await receiverFor(c, { behaviour: { status: 500 } })
    const id = await answered({ callback_webhook: receiver.url, callback_retry_seconds: [5] })
    const early = await redeliver(id)
    assert.equal(early.status, 409, 'while the first round is under way')
    await t.app.drain()
    assert.equal((await redeliver(id)).status, 409, 'while a retry is awaited')
    t.clock.advance(6_000)
    await t.app.drain()
    assert.equal((await read(id)).state, 'callback_failed')

    const reply = await redeliver(id)
    assert.equal(reply.status, 202, reply.text)
    assert.equal(reply.body.state, 'callback_failed', 'until it gets through')
    assert.equal(reply.body.callback.status, 'pending')
    assert.equal((await redeliver(id)).status, 409, 'one at a time')
    await t.app.drain()
    const between = await read(id)
    assert.equal(between.callback.status, 'delivering')
    assert.equal(between.callback.attempts, 3)
    receiver.behave({ status: 200 })
    t.clock.advance(6_000)
    await t.app.drain()

    const request = await read(id)
    assert.equal(request.state, 'callback_sent')
    assert.equal(request.callback.status, 'sent')
    assert.equal(request.callback.attempts, 4)
    assert.equal(receiver.requests.length, 4)
    assert.equal(new Set(receiver.requests.map(({ headers }) => headers['webhook-id'])).size, 1)
    assert.equal(new Set(receiver.requests.map(({ body }) => body.toString())).size, 1)
    const log = await deliveriesOf(id)
    assert.deepEqual(
      log.map((row) => row.attempt),
      [4, 3, 2, 1],
    )
    const kinds = (await kindsOfEvents(id)).slice(1)
    const redelivered = ['request.redelivery_requested', 'request.callback_sent']
    assert.deepEqual(kinds, ['request.responded', 'request.callback_failed', ...redelivered])
  })

  test('of a body that was dropped once it was delivered: the same bytes, made from the request, or nothing', async (c) => {
    const receiver = await receiverFor(c)
    const metadata = { 'ключ \u2028': [1.5, '\u0007', { deep: 'Grüße 😀' }] }
    const id = await answered({ callback_webhook: receiver.url, callback_secret: 'shared', metadata })
    await t.app.drain()
    const stored = async () => (await t.sql('select * from deliveries where subject_id = $1', [id]))[0] ?? {}
    const [first] = receiver.requests
    const { body, body_bytes, body_sha256 } = await stored()
    assert.deepEqual([body, body_bytes], ['', first?.body.length])
    assert.deepEqual(
      body_sha256,
      createHash('sha256')
        .update(first?.body ?? '')
        .digest(),
    )

    t.clock.advance(60_000)
    assert.equal((await redeliver(id)).status, 202)
    await t.app.drain()
    const [, second] = receiver.requests
    assert.deepEqual(second?.body, first?.body)
    assert.equal(second?.headers['x-webhook-signature'], first?.headers['x-webhook-signature'])

    await t.sql(`update consultation_answers set comment = 'something else' where request_id = $1`, [id])
    assert.equal((await redeliver(id)).status, 202)
    await t.app.drain()
    assert.equal(receiver.requests.length, 2, 'other bytes are not sent')
    assert.equal((await deliveriesOf(id))[0].error_code, 'body')
    assert.match((await read(id)).callback.last_error, /only its digest was kept/)
  })

  test('keeps the latest hundred attempts', async (c) => {
    const receiver = await receiverFor(c)
    const id = await answered({ callback_webhook: receiver.url })
    await t.app.drain()
    await t.sql(
      `insert into delivery_attempts select (d).* from (
         select jsonb_populate_record(a, jsonb_build_object('id', gen_random_uuid())) as d
         from delivery_attempts a, generate_series(1, 300) where a.subject_id = $1) copies`,
      [id],
    )
    assert.equal((await redeliver(id)).status, 202)
    await t.app.drain()
    assert.equal((await deliveriesOf(id)).length, 101)
  })

  test('after callback_sent, by the agent: sent again, stays callback_sent', async (c) => {
    const receiver = await receiverFor(c)
    const id = await answered({ callback_webhook: receiver.url })
    await t.app.drain()
    t.clock.advance(1_000)
    const reply = await redeliver(id, t.apiKey)
    assert.equal(reply.status, 202, reply.text)
    assert.equal(reply.body.state, 'callback_sent')
    await t.app.drain()
    const request = await read(id)
    assert.equal(request.state, 'callback_sent')
    assert.equal(request.callback_sent_at, t.clock.now().toISOString())
    assert.equal(receiver.requests.length, 2)
  })

  test('that fails leaves the state at callback_sent', async (c) => {
    const receiver = await receiverFor(c)
    const id = await answered({ callback_webhook: receiver.url, callback_retry_seconds: [] })
    await t.app.drain()
    const sentAt = t.clock.now().toISOString()
    receiver.behave({ status: 500 })
    await redeliver(id)
    await t.app.drain()
    const request = await read(id)
    assert.equal(request.state, 'callback_sent')
    assert.equal(request.callback_sent_at, sentAt)
    assert.equal(request.callback.status, 'failed')
    assert.equal((await redeliver(id)).status, 202, 'and may be asked for again')
    receiver.behave({ status: 200 })
    await t.app.drain()
  })
})

describe('receivers of one organization', () => {
  test('that are dead with 200 callbacks due do not delay another organization’s callbacks', async (c) => {
    const held: ServerResponse[] = []
    const dead = await receiverFor(c, { behaviour: (response) => void held.push(response) })
    const healthy = await receiverFor(c)
    const target = await startTestApp({ environment: { ...environment, CALLBACK_TIMEOUT_SECONDS: '60' } })
    c.after(() => target.stop())
    const answerAll = async (url: string, count: number) => {
      const ids = await Promise.all(
        Array.from({ length: count }, async () => (await target.createRequest({ callback_webhook: url })).id as string),
      )
      const body = { decision: 'approve' }
      const as = target.reviewer.token
      for (const id of ids) await target.call('POST', `/api/v1/requests/${id}/respond`, { as, body })
      return ids
    }
    const stuck = await answerAll(dead.url, 200)
    const served = await answerAll(healthy.url, 200)
    const delivering = target.app.drain()
    await healthy.waitFor(200)
    assert.equal(held.length, dead.requests.length, 'not one of the dead receiver’s has been answered yet')
    assert.ok(held.length > 0 && held.length <= 64, `${held.length} hang`)
    const states = await target.sql(
      `select shown as state, count(*)::int from ${requestsAsShown} where id = any($1) group by 1`,
      [stuck],
    )
    assert.deepEqual(states, [{ state: 'responded', count: 200 }])
    dead.behave({ status: 200 })
    for (const response of held) response.end()
    await delivering
    const sent = await target.sql(`select count(*)::int from ${requestsAsShown} where shown = 'callback_sent'`)
    assert.equal(sent[0]?.count, stuck.length + served.length)
    assert.equal(dead.requests.length, 200)
    assert.equal(healthy.requests.length, 200)
  })
})

/** Another process of the service on the same database, set up differently. */
async function anotherApp(test: TestContext, options: { secretKey?: string; environment?: Record<string, string> }) {
  const config = testConfig({ ...environment, ...options.environment })
  const app = await createApp({
    config,
    secretKey: options.secretKey ?? secretKey,
    connection: t.connection,
    log: createLog('silent', false),
    clock: t.clock,
  })
  test.after(() => app.stop())
  return app
}

describe('when the operator changes the settings in between', () => {
  /** An answered request whose first attempt failed and whose next one is due. */
  async function due(url: string): Promise<string> {
    const id = await answered({ callback_webhook: url, callback_secret: 'shared', callback_retry_seconds: [5, 5] })
    await t.app.drain()
    t.clock.advance(6_000)
    return id
  }

  test('another SECRET_KEY: nothing is sent unsigned; the attempts fail with a clear error and end', async (c) => {
    const receiver = await receiverFor(c, { behaviour: { status: 500 } })
    const id = await due(receiver.url)
    const other = await anotherApp(c, { secretKey: randomBytes(32).toString('hex') })
    // That process cannot sign the audit's head either: it logs that and leaves it to processes that can.
    const drain = () => other.drain().catch((error: unknown) => assert.match(String(error), /KEY_ENCRYPTION_KEYS/))
    await drain()
    const [attempt] = await deliveriesOf(id)
    assert.equal(attempt.attempt, 2)
    assert.equal(attempt.error_code, 'secret')
    assert.match(attempt.error, /SECRET_KEY/)
    t.clock.advance(6_000)
    await drain()
    const request = await read(id)
    assert.equal(request.state, 'callback_failed')
    assert.equal(request.callback.attempts, 3)
    assert.match(request.callback.last_error, /SECRET_KEY/)
    assert.equal(receiver.requests.length, 1)
    receiver.behave({ status: 200 })
    assert.equal((await redeliver(id)).status, 202, 'with the right key again')
    await t.app.drain()
    assert.equal((await read(id)).state, 'callback_sent')
  })

  test('a target that is no longer allowed: refused for good, without connecting', async (c) => {
    const receiver = await receiverFor(c, { behaviour: { status: 500 } })
    const id = await due(receiver.url)
    const other = await anotherApp(c, { environment: { CALLBACK_ALLOW: '' } })
    await other.drain()
    const request = await read(id)
    assert.equal(request.state, 'callback_failed')
    assert.match(request.callback.last_error, /CALLBACK_ALLOW/)
    const [attempt] = await deliveriesOf(id)
    assert.equal(attempt.error_code, 'target_refused')
    assert.equal(receiver.requests.length, 1)
  })
})
