import assert from 'node:assert/strict'
import { type AddressInfo, connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { createApp } from '../../src/app.ts'
import { createLog } from '../../src/platform/log.ts'
import { textOf } from '../../src/realtime/event-stream.ts'
import { eventually } from '../eventually.ts'
import { secretKey, startTestApp, type TestApp, testConfig } from '../harness.ts'
import { addApiKey } from '../people-and-keys.ts'
import { startReceiver } from '../receivers.ts'
import { openStream } from './sse.ts'

let t: TestApp
let url: string
before(async () => {
  t = await startTestApp({ workers: true, environment: { REQUEST_TIMEOUT_SECONDS: '1' } })
  await t.app.http.listen({ port: 0, host: '127.0.0.1' })
  url = `http://127.0.0.1:${(t.app.http.server.address() as AddressInfo).port}`
})
after(() => t.stop())

const streamOf = (id: string, headers = {}, as = t.apiKey) =>
  openStream(`${url}/api/v1/requests/${id}/stream`, as, headers)
const respond = (id: string, decision = 'approve') =>
  t.call('POST', `/api/v1/requests/${id}/respond`, { as: t.reviewer.token, body: { decision, comment: 'line\none' } })

describe('the stream of a request', () => {
  test('sends the body of the callback under its name, and ends', async () => {
    const receiver = await startReceiver()
    const { id } = await t.createRequest({ callback_webhook: receiver.url, metadata: { run: 1 } })
    const stream = await streamOf(id)
    assert.equal(stream.status, 200)
    assert.equal(stream.headers['content-type'], 'text/event-stream; charset=utf-8')
    assert.deepEqual(stream.events, [])
    await respond(id)
    await stream.ended
    const [callback] = await eventually('the callback came', () => receiver.requests.length > 0 && receiver.requests)
    assert.deepEqual(
      stream.events.map(({ id, event, data }) => ({ id, event, data: JSON.parse(data) })),
      [{ id: '1-request.responded', event: 'request.responded', data: JSON.parse(String(callback?.body)) }],
    )
    await receiver.close()
  })

  for (const [event, state, end] of [
    [
      'request.cancelled',
      'cancelled',
      (id: string) => t.call('POST', `/api/v1/requests/${id}/cancel`, { as: t.apiKey }),
    ],
    ['request.timeout', 'timeout', async () => t.clock.advance(60_000)],
  ] as const) {
    test(`sends ${event} and ends`, async () => {
      const { id } = await t.createRequest({ timeout_minutes: 1 })
      const stream = await streamOf(id)
      await end(id)
      await stream.ended
      assert.deepEqual(
        stream.events.map(({ event }) => event),
        [event],
      )
      assert.equal(JSON.parse(stream.events[0]?.data ?? '').state, state)
    })
  }

  test('goes on after Last-Event-ID: everything for a new reader, 204 for one that has it all', async () => {
    const { id } = await t.createRequest()
    await respond(id, 'reject')
    const first = await streamOf(id)
    await first.ended
    assert.equal(first.events.length, 1)
    const unknown = await streamOf(id, { 'last-event-id': 'something else' })
    await unknown.ended
    assert.deepEqual(unknown.events, first.events)
    const again = await streamOf(id, { 'last-event-id': first.events[0]?.id ?? '' })
    await again.ended
    assert.equal(again.status, 204)
    assert.deepEqual(again.events, [])
  })

  test('metadata with line ends arrives equal', async () => {
    const payload = '{"title":"May I?","context":{},"metadata":{\n"a"\r\n:\r[1,\n\n2]}}'
    const { body } = await t.call('POST', '/api/v1/requests', {
      as: t.apiKey,
      payload,
      headers: { 'content-type': 'application/json' },
    })
    const stream = await streamOf(body.id)
    await respond(body.id)
    await stream.ended
    const data = JSON.parse(stream.events[0]?.data ?? '')
    assert.deepEqual(data.metadata, { a: [1, 2] })
    assert.equal(data.response.comment, 'line\none')
    assert.equal(
      textOf({ id: '1', name: 'n', data: 'a\r\nb\rc\nd' }),
      'id: 1\nevent: n\ndata: a\ndata: b\ndata: c\ndata: d\n\n',
    )
  })

  test('ends within a second when its key is revoked; the next try gets 401', async () => {
    const key = await addApiKey(t)
    const { body } = await t.call('POST', '/api/v1/requests', { as: key.raw, body: { title: 'May I?', context: {} } })
    const stream = await streamOf(body.id, {}, key.raw)
    await t.sql('update api_keys set is_active = false, revoked_at = now() where id = $1', [key.id])
    const from = performance.now()
    await stream.ended
    assert.ok(performance.now() - from < 1_500)
    assert.deepEqual(stream.events, [])
    assert.equal((await streamOf(body.id, {}, key.raw)).status, 401)
  })

  test('tells of a revision made by another process also where hints are lost, and what follows it', async () => {
    const other = await createApp({
      config: testConfig(),
      secretKey,
      connection: t.connection,
      log: createLog('silent', false),
      clock: t.clock,
    })
    try {
      // Its loops do not run, so it hears no hint.
      await other.http.listen({ port: 0, host: '127.0.0.1' })
      const { port } = other.http.server.address() as AddressInfo
      const { id } = await t.createRequest()
      const stream = await openStream(`http://127.0.0.1:${port}/api/v1/requests/${id}/stream`, t.apiKey)
      await eventually('it waits', () => other.realtime.waiting() === 1)
      const poll = async () => {
        for (const loop of other.realtime.loops) await loop.drain()
      }
      for (const revision of [2, 3]) {
        const revised = await t.call('POST', `/api/v1/requests/${id}/revisions`, {
          as: t.apiKey,
          body: { title: `Once more, ${revision}?`, context: {} },
        })
        assert.equal(revised.status, 201, revised.text)
        await eventually('it is told', async () => {
          await poll()
          return stream.events.length === revision - 1
        })
      }
      await respond(id)
      await poll()
      await stream.ended
      assert.deepEqual(
        stream.events.map((one) => one.id),
        ['2-request.revised', '3-request.revised', '3-request.responded'],
      )
    } finally {
      await other.stop()
    }
  })

  test('a reader that goes away leaves nothing behind', async () => {
    const { id } = await t.createRequest()
    const streams = await Promise.all([1, 2, 3].map(() => streamOf(id)))
    await eventually('they wait', () => t.app.realtime.waiting() === 3)
    for (const stream of streams) stream.close()
    await eventually('nobody waits', () => t.app.realtime.waiting() === 0)
  })

  test('a reader that takes nothing is disconnected', async () => {
    const { id } = await t.createRequest({ metadata: { large: 'x'.repeat(900_000) } })
    await respond(id)
    const connections = () =>
      new Promise<number>((resolve) => t.app.http.server.getConnections((_error, count) => resolve(count)))
    await eventually('the others have left', async () => (await connections()) === 0)
    const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => {})
    socket.pause()
    // More than the two kernels hold in between.
    const call = `GET /api/v1/requests/${id}/stream HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${t.apiKey}\r\n\r\n`
    socket.write(call.repeat(16))
    await eventually('it is connected', async () => (await connections()) === 1)
    await eventually('it was disconnected', async () => (await connections()) === 0)
    socket.destroy()
  })
})
