import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import { createLog } from '../../src/platform/log.ts'
import { eventually } from '../eventually.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { startReceiver } from '../receivers.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const traceparent = `00-${traceId}-00f067aa0ba902b7-01`

let t: TestApp
const lines: string[] = []
before(async () => {
  const kept = new Writable({
    write: (chunk, _encoding, done): void => {
      lines.push(String(chunk))
      done()
    },
  })
  t = await startTestApp({ log: createLog('info', false, kept), workers: true })
})
after(() => t.stop())

const ask = (more: object, headers = {}) =>
  t.call('POST', '/api/v1/requests', { as: t.apiKey, body: { title: 'May I?', context: {}, ...more }, headers })

describe('traceparent', () => {
  test('is kept with the request, sent with its callback, and its trace_id is in the log', async () => {
    const receiver = await startReceiver()
    const { body } = await ask({ callback_webhook: receiver.url }, { traceparent, 'x-request-id': 'a-traced-call' })
    assert.equal(body.traceparent, traceparent)
    await t.call('POST', `/api/v1/requests/${body.id}/cancel`, { as: t.apiKey })
    const [callback] = await eventually('it came', () => receiver.requests.length > 0 && receiver.requests)
    assert.equal(callback?.headers.traceparent, traceparent)
    const line = lines.map((text) => JSON.parse(text)).find((one) => one.request_id === 'a-traced-call')
    assert.equal(line?.trace_id, traceId)
    await receiver.close()
  })

  test('each of a batch has that of the call', async () => {
    const { body } = await t.call('POST', '/api/v1/requests/batch', {
      as: t.apiKey,
      body: { requests: [{ title: 'a', context: {} }] },
      headers: { traceparent },
    })
    assert.equal(body.items[0].traceparent, traceparent)
  })

  for (const malformed of [
    '',
    'nonsense',
    traceparent.toUpperCase(),
    `${traceparent}-more`,
    `ff${traceparent.slice(2)}`,
    `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
    `00-${traceId}-${'0'.repeat(16)}-01`,
    `01${traceparent.slice(2)}-${'x'.repeat(500)}`,
  ]) {
    test(`is ignored when it is malformed: ${malformed.slice(0, 60)}`, async () => {
      const { status, body } = await ask({}, { traceparent: malformed })
      assert.deepEqual([status, body.traceparent], [201, null])
    })
  }

  test('of a later version is kept with its further fields', async () => {
    const later = `01${traceparent.slice(2)}-more`
    assert.equal((await ask({}, { traceparent: later })).body.traceparent, later)
  })
})

describe('callback_events', () => {
  const ends = {
    'request.responded': (id: string) =>
      t.call('POST', `/api/v1/requests/${id}/respond`, { as: t.reviewer.token, body: { decision: 'approve' } }),
    'request.cancelled': (id: string) => t.call('POST', `/api/v1/requests/${id}/cancel`, { as: t.apiKey }),
    'request.timeout': async () => t.clock.advance(60_000),
  }
  for (const [event, end] of Object.entries(ends)) {
    test(`a callback is sent for ${event} exactly when it is listed`, async () => {
      const receiver = await startReceiver()
      const callback_events = [event]
      const others = Object.keys(ends).filter((other) => other !== event)
      const wanted = await ask({ callback_webhook: receiver.url, callback_events, timeout_minutes: 1 })
      const unwanted = await ask({ callback_webhook: receiver.url, callback_events: others, timeout_minutes: 1 })
      assert.deepEqual(wanted.body.callback_events, callback_events)
      for (const { body } of [unwanted, wanted]) await end(body.id)
      const read = (id: string) => t.call('GET', `/api/v1/requests/${id}`, { as: t.apiKey })
      await eventually('it came', async () => (await read(wanted.body.id)).body.callback.status === 'sent')
      await t.app.drain()
      assert.deepEqual(
        receiver.requests.map(({ body }) => JSON.parse(String(body)).request_id),
        [wanted.body.id],
      )
      const { body } = await read(unwanted.body.id)
      assert.equal(body.callback.status, 'none')
      assert.equal(`request.${body.state}`, event)
      await receiver.close()
    })
  }

  test('a repeated answer says the same of the callback, whatever has happened since', async () => {
    const receiver = await startReceiver()
    for (const callback_events of [['request.cancelled'], ['request.responded'], null]) {
      const { body } = await ask({ callback_webhook: receiver.url, callback_events })
      const answer = () =>
        t.call('POST', `/api/v1/requests/${body.id}/respond`, {
          as: t.reviewer.token,
          body: { decision: 'approve' },
          headers: { 'idempotency-key': body.id },
        })
      const first = await answer()
      await t.app.drain()
      assert.deepEqual((await answer()).body, first.body)
    }
    await receiver.close()
  })

  test('422 that lists the names for one that is unknown, not there yet or twice, and for none', async () => {
    const known =
      'must be one of: request.responded, request.timeout, request.cancelled, request.revised, request.completed'
    for (const [events, message] of [
      [['request.claimed'], known],
      [['responded'], known],
      [['request.timeout', 'request.timeout'], 'has an entry twice: send it once'],
      [[], 'must not be empty'],
    ] as const) {
      const { status, body } = await ask({ callback_events: events })
      assert.equal(status, 422)
      assert.equal(body.errors[0].message, message)
    }
  })
})
