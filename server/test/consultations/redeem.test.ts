import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createApp } from '../../src/app.ts'
import { newId } from '../../src/platform/ids.ts'
import { createLog } from '../../src/platform/log.ts'
import { type Reply, secretKey, startTestApp, type TestApp, testConfig } from '../harness.ts'
import { addApiKey, addOrganization } from '../people-and-keys.ts'
import { startReceiver } from '../receivers.ts'
import { recordedEvents } from '../recorded-events.ts'

let t: TestApp
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())

const pathOf = (id: string, act = ''): string => `/api/v1/requests/${id}${act === '' ? '' : `/${act}`}`
const read = async (id: string) => (await t.call('GET', pathOf(id), { as: t.apiKey })).body
const redeem = (id: string, body?: unknown, as = t.apiKey): Promise<Reply> =>
  t.call('POST', pathOf(id, 'redeem'), { as, ...(body === undefined ? {} : { body }) })
const decided = async (decision = 'approve', fields = {}) => {
  const { id } = await t.createRequest(fields)
  const reply = await t.call('POST', pathOf(id, 'respond'), { as: t.reviewer.token, body: { decision } })
  assert.equal(reply.status, 200, reply.text)
  return reply.body
}
const eventsOf = (id: string) => recordedEvents(t.sql, { subject: id, kinds: ['request.redeemed'] })
const told = (reply: Reply) => [reply.status, reply.body.code]

describe('an approval', () => {
  test('is used once: the first call gets the request, the second 409 consultation.already_redeemed with the time', async () => {
    const { id, updated_at, digest } = await decided()
    const before = await read(id)
    assert.deepEqual(before.allowed_actions, ['redeem', 'report_outcome'])
    const usedAt = t.clock.now().toISOString()
    const first = await redeem(id)
    assert.equal(first.status, 200, first.text)
    assert.deepEqual([first.body.redeemed_at, first.body.state], [usedAt, 'responded'])
    assert.ok(first.body.updated_at > updated_at)
    assert.deepEqual(first.body.allowed_actions, ['report_outcome'])
    t.clock.advance(1_000)
    const second = await redeem(id)
    assert.deepEqual(told(second), [409, 'consultation.already_redeemed'])
    assert.equal(second.body.redeemed_at, usedAt)
    assert.ok(second.body.detail.includes(usedAt))
    const [event, ...others] = await eventsOf(id)
    assert.equal(others.length, 0)
    assert.deepEqual([event?.digest, event?.before], [digest, { redeemed_at: null }])
    assert.deepEqual(event?.after, { redeemed_at: usedAt, revision: 1 })
    assert.equal(event?.actor.kind, 'agent')
    const certificate = await t.call('GET', pathOf(id, 'certificate'), { as: t.apiKey })
    assert.equal(certificate.body.redeemed_at, usedAt)
  })

  for (const [what, body] of [
    ['no body', undefined],
    ['an empty object', {}],
    ['digest null', { digest: null }],
  ] as const) {
    test(`may be used with ${what}`, async () => {
      assert.equal((await redeem((await decided()).id, body)).status, 200)
    })
  }

  test('is used with the digest of what was approved; 412 with another digest, and it can still be used', async () => {
    const { id, digest } = await decided('approve', { context: { amount: 1 } })
    const other = await decided('approve', { context: { amount: 2 } })
    const reply = await redeem(id, { digest: other.digest })
    assert.deepEqual(told(reply), [412, 'consultation.digest_differs'])
    assert.equal((await read(id)).redeemed_at, null)
    assert.equal((await redeem(id, { digest })).status, 200)
    assert.deepEqual(told(await redeem(id, { digest: other.digest })), [412, 'consultation.digest_differs'])
  })

  for (const digest of ['', 'x', 'A'.repeat(64), 'a'.repeat(63), 'a'.repeat(65), 5, ['a'.repeat(64)], {}]) {
    test(`422 for the digest ${JSON.stringify(digest).slice(0, 20)}, and it can still be used`, async () => {
      const { id } = await decided()
      assert.deepEqual(told(await redeem(id, { digest })), [422, 'request.invalid'])
      assert.equal((await read(id)).redeemed_at, null)
    })
  }

  test('keeps the time of its use when its callback is delivered, fails or is sent again', async (context) => {
    const receiver = await startReceiver({ behaviour: { status: 500 } })
    context.after(() => receiver.close())
    const { id, certificate } = await decided('approve', { callback_webhook: receiver.url, callback_retry_seconds: [] })
    const used = (await redeem(id)).body.redeemed_at
    await t.app.drain()
    assert.deepEqual([(await read(id)).state, (await read(id)).redeemed_at], ['callback_failed', used])
    receiver.behave({ status: 204 })
    await t.call('POST', pathOf(id, 'redeliver'), { as: t.apiKey })
    await t.app.drain()
    const after = await read(id)
    assert.deepEqual([after.state, after.redeemed_at, after.certificate], ['callback_sent', used, certificate])
  })
})

describe('409 consultation.not_approved for anything but an approval', () => {
  for (const decision of ['reject', 'request_changes']) {
    test(decision, async () => {
      const { id } = await decided(decision)
      const reply = await redeem(id)
      assert.deepEqual([...told(reply), reply.body.decision], [409, 'consultation.not_approved', decision])
      assert.equal((await eventsOf(id)).length, 0)
    })
  }
  test('pending, cancelled and timed out', async () => {
    const [pending, cancelled, late] = [
      await t.createRequest(),
      await t.createRequest(),
      await t.createRequest({ timeout_minutes: 1 }),
    ]
    await t.call('POST', pathOf(cancelled.id, 'cancel'), { as: t.apiKey })
    t.clock.advance(60_000)
    for (const { id } of [pending, cancelled, late]) {
      assert.deepEqual(told(await redeem(id)), [409, 'consultation.not_approved'])
    }
  })
  test('the database itself refuses the use of what was not approved', async () => {
    const { id } = await decided('reject')
    await assert.rejects(
      t.sql('update consultation_requests set redeemed_at = now() where id = $1', [id]),
      /redeemed_when_approved/,
    )
  })
})

test('only the agent that asked may use the approval', async () => {
  const elsewhere = await addOrganization(t)
  const { id } = await decided()
  for (const [who, as, status] of [
    ['nobody', null, 401],
    ['another key', (await addApiKey(t)).raw, 404],
    ['a reviewer', t.reviewer.token, 403],
    ['an admin', t.admin.token, 403],
    ["another organization's key", elsewhere.apiKey.raw, 404],
    ["another organization's admin", elsewhere.admin.token, 403],
  ] as const) {
    const reply = await t.call('POST', pathOf(id, 'redeem'), as === null ? {} : { as })
    assert.equal(reply.status, status, who)
  }
  assert.deepEqual(told(await redeem(newId())), [404, 'consultation.not_found'])
  assert.equal((await redeem(id)).status, 200)
})

describe('of a hundred calls at once one wins', () => {
  const outcomes = (statuses: readonly number[]) => [
    statuses.filter((status) => status === 200).length,
    statuses.filter((status) => status === 409).length,
  ]
  test('in one process', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { id } = await decided()
      const replies = await Promise.all(Array.from({ length: 100 }, () => redeem(id)))
      assert.deepEqual(outcomes(replies.map((reply) => reply.status)), [1, 99])
      assert.equal((await eventsOf(id)).length, 1)
    }
  })
  test('over two processes', async () => {
    const log = createLog('silent', false)
    const other = await createApp({ config: testConfig(), secretKey, connection: t.connection, log, clock: t.clock })
    try {
      for (let round = 0; round < 5; round += 1) {
        const { id } = await decided()
        const url = pathOf(id, 'redeem')
        const headers = { authorization: `Bearer ${t.apiKey}` }
        const statuses = await Promise.all(
          Array.from({ length: 100 }, async (_, n) => {
            if (n % 2 === 0) return (await redeem(id)).status
            return (await other.http.inject({ method: 'POST', url, headers })).statusCode
          }),
        )
        assert.deepEqual(outcomes(statuses), [1, 99])
        assert.equal((await eventsOf(id)).length, 1)
      }
    } finally {
      await other.stop()
    }
  })
})

// The last test, because the reviewer's access token has expired at its end.
test('an approval can be used until it expires, to the millisecond', async () => {
  const [early, late] = [await decided(), await decided()]
  const expires = Date.parse(early.certificate_expires_at)
  t.clock.advance(expires - 1 - t.clock.now().getTime())
  assert.equal((await redeem(early.id)).status, 200)
  t.clock.advance(1)
  const reply = await redeem(late.id)
  assert.deepEqual(told(reply), [409, 'consultation.approval_expired'])
  assert.equal(Date.parse(reply.body.expires_at), expires)
  assert.deepEqual((await read(late.id)).allowed_actions, ['report_outcome'])
  assert.deepEqual(told(await redeem(early.id)), [409, 'consultation.already_redeemed'], 'which says more')
})
