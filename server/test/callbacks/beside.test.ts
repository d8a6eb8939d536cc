import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { type Reply, startTestApp, type TestApp } from '../harness.ts'
import { type ReceivedRequest, receiverFor } from '../receivers.ts'
import { recordedEvents } from '../recorded-events.ts'

let t: TestApp
before(async () => {
  // The fake clock moves by hours.
  t = await startTestApp({ environment: { ACCESS_TOKEN_EXPIRE_MINUTES: '1440', STEP_UP_FRESH_MINUTES: '1440' } })
})
after(() => t.stop())

const callback_secret = `whsec_${Buffer.alloc(24, 7).toString('base64')}`
const all = ['request.responded', 'request.timeout', 'request.cancelled', 'request.revised', 'request.completed']

const path = (id: string, act = '') => `/api/v1/requests/${id}${act}`
const read = async (id: string) => (await t.call('GET', path(id), { as: t.apiKey })).body
const done = (reply: Reply) => {
  assert.ok(reply.status < 300, reply.text)
  return reply.body
}
const respond = async (id: string, decision: string) =>
  done(await t.call('POST', path(id, '/respond'), { as: t.reviewer.token, body: { decision } }))
const revise = async (id: string, body: object) =>
  done(
    await t.call('POST', path(id, '/revisions'), { as: t.apiKey, body: { title: 'And now?', context: {}, ...body } }),
  )
const outcome = { status: 'executed', detail: 'Deleted "vol-1".', data: { deleted: 1 } }
const report = async (id: string) => done(await t.call('POST', path(id, '/outcome'), { as: t.apiKey, body: outcome }))
const listed = async (id: string, query = '') =>
  (await t.call('GET', `/api/v1/callbacks?limit=100${query}`, { as: t.admin.token })).body.items
    .filter((one: Reply['body']) => one.request_id === id)
    .map(({ event, status, last_error }: Reply['body']) => [event, status, last_error])

/** As a receiver reads them: verified by the package of the Standard Webhooks project. */
function verified({ body, headers }: ReceivedRequest) {
  return new Webhook(callback_secret).verify(body, headers as Record<string, string>) as Record<string, unknown>
}
const toldBy = (received: readonly ReceivedRequest[]) =>
  received
    .map(verified)
    .map(({ event, state, revision }) => [event, state, revision])
    .toSorted()

describe('request.revised and request.completed', () => {
  test('are sent once and signed where they are named, and the state stays that of the decision', async (c) => {
    const receiver = await receiverFor(c)
    const asked = { callback_webhook: receiver.url, callback_secret, callback_events: all, metadata: { run: 7 } }
    const { id } = await t.createRequest(asked)
    await respond(id, 'request_changes')
    await t.app.drain()
    const revised = await revise(id, asked)
    await t.app.drain()
    assert.deepEqual([(await read(id)).state, (await read(id)).callback.status], ['pending', 'none'])
    await respond(id, 'approve')
    await t.app.drain()
    assert.equal((await read(id)).state, 'callback_sent')
    const completed = await report(id)
    // Repeated: the same reply, and nothing more is sent.
    assert.deepEqual(await report(id), completed)
    await t.app.drain()
    assert.deepEqual(toldBy(receiver.requests), [
      ['request.completed', 'completed', 2],
      ['request.responded', 'responded', 1],
      ['request.responded', 'responded', 2],
      ['request.revised', 'pending', 2],
    ])
    assert.equal(new Set(receiver.requests.map(({ headers }) => headers['webhook-id'])).size, 4)
    const bodies = new Map(receiver.requests.map(verified).map((body) => [`${body.event} ${body.revision}`, body]))
    assert.deepEqual(bodies.get('request.revised 2'), {
      event: 'request.revised',
      request_id: id,
      metadata: { run: 7 },
      response: null,
      timestamp: revised.revised_at,
      state: 'pending',
      revision: 2,
      digest: revised.digest,
      certificate: null,
    })
    const { response, ...others } = bodies.get('request.completed 2') as Reply['body']
    assert.equal(response.decision, 'approve')
    assert.deepEqual(others, {
      event: 'request.completed',
      request_id: id,
      metadata: { run: 7 },
      timestamp: completed.outcome.reported_at,
      state: 'completed',
      revision: 2,
      digest: revised.digest,
      certificate: completed.certificate,
      outcome: completed.outcome,
    })
    assert.deepEqual((await listed(id)).toSorted(), [
      ['request.completed', 'sent', null],
      ['request.responded', 'sent', null],
      ['request.responded', 'sent', null],
      ['request.revised', 'sent', null],
    ])
    const events = await recordedEvents(t.sql, { subject: id })
    const sent = events.filter(({ kind }) => kind === 'request.callback_sent')
    assert.deepEqual(sent.map(({ after: told }) => [told?.event ?? 'closed', told?.state]).toSorted(), [
      ['closed', 'callback_sent'],
      ['closed', 'callback_sent'],
      ['request.completed', 'completed'],
      ['request.revised', 'pending'],
    ])
  })

  test('are not sent where nobody names them, or only the other one', async (c) => {
    const receiver = await receiverFor(c)
    const told: unknown[] = []
    for (const callback_events of [null, ['request.completed'], ['request.revised']]) {
      const asked = { callback_webhook: receiver.url, callback_secret, callback_events }
      const { id } = await t.createRequest(asked)
      await revise(id, asked)
      await respond(id, 'approve')
      await t.app.drain()
      assert.equal((await read(id)).state, callback_events === null ? 'callback_sent' : 'responded')
      await report(id)
      await t.app.drain()
      told.push(toldBy(receiver.requests).slice(-1)[0]?.[0], receiver.requests.length)
    }
    assert.deepEqual(told, ['request.responded', 1, 'request.responded', 2, 'request.revised', 3])
  })

  test('that were not received are withdrawn by the next revision, and others stay', async (c) => {
    const receiver = await receiverFor(c)
    receiver.behave({ status: 500 })
    const asked = { callback_webhook: receiver.url, callback_secret, callback_events: all }
    const { id } = await t.createRequest(asked)
    await revise(id, asked)
    await respond(id, 'request_changes')
    await t.app.drain()
    assert.equal(receiver.requests.length, 2)
    await revise(id, asked)
    receiver.behave({ status: 200 })
    t.clock.advance(7_200_000)
    await t.app.drain()
    assert.deepEqual(toldBy(receiver.requests.slice(2)), [['request.revised', 'pending', 3]])
    const why = 'The agent has revised its request, so this callback is not sent any more.'
    const withdrawn = [
      ['request.responded', 'withdrawn', why],
      ['request.revised', 'withdrawn', why],
    ]
    assert.deepEqual((await listed(id)).toSorted(), [...withdrawn, ['request.revised', 'sent', null]].toSorted())
    assert.deepEqual((await listed(id, '&status=withdrawn')).toSorted(), withdrawn)
    assert.deepEqual(await listed(id, '&status=failed'), [])
  })

  test('that fail show on no state, are in the audit, and are not mistaken for the one that closed it', async (c) => {
    const receiver = await receiverFor(c)
    const asked = { callback_webhook: receiver.url, callback_secret, callback_events: all, callback_retry_seconds: [] }
    const { id } = await t.createRequest(asked)
    await respond(id, 'approve')
    await t.app.drain()
    receiver.behave({ status: 500 })
    await report(id)
    await t.app.drain()
    assert.deepEqual([(await read(id)).state, (await read(id)).callback.status], ['completed', 'sent'])
    const failed = [['request.completed', 'failed', 'The receiver replied 500; only 2xx counts as received.']]
    assert.deepEqual(await listed(id, '&status=failed'), failed)
    const [event] = (await recordedEvents(t.sql, { subject: id })).filter(
      ({ kind }) => kind === 'request.callback_failed',
    )
    assert.deepEqual([event?.after?.event, event?.after?.attempts], ['request.completed', 1])
    receiver.behave({ status: 200 })
    const body = { target: receiver.url }
    const again = await t.call('POST', '/api/v1/callbacks/redeliver', { as: t.admin.token, body })
    assert.deepEqual(done(again), { redelivered: 0, skipped: 1, next_cursor: null })
    await t.app.drain()
    assert.equal(receiver.requests.length, 2)
  })

  test('that wait when the request is erased are not sent, and nothing of them is left', async (c) => {
    const receiver = await receiverFor(c)
    const asked = { callback_webhook: receiver.url, callback_secret, callback_events: all }
    const { id } = await t.createRequest(asked)
    await respond(id, 'approve')
    await t.app.drain()
    receiver.behave({ status: 500 })
    await report(id)
    await t.app.drain()
    const erasure = { request_id: id, reason: 'A person asked for it.' }
    done(await t.call('POST', '/api/v1/events/erasures', { as: t.admin.token, body: erasure }))
    receiver.behave({ status: 200 })
    t.clock.advance(7_200_000)
    await t.app.drain()
    assert.equal(receiver.requests.length, 2)
    const rows = await t.app.db.within({ organizationId: t.organizationId }).execute<Record<string, unknown>>(
      {
        name: 'test_deliveries',
        text: 'select event, body, address, secret, body_sha256 from deliveries where organization_id = $1 and subject_id = $2',
      },
      [t.organizationId, id],
    )
    const nothing = { body: '', address: '', secret: null, body_sha256: null }
    assert.deepEqual(
      rows.toSorted((a, b) => (String(a.event) < String(b.event) ? -1 : 1)),
      ['request.completed', 'request.responded'].map((event) => ({ event, ...nothing })),
    )
  })
})
