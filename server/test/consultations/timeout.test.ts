import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { createApp } from '../../src/app.ts'
import { createLog } from '../../src/platform/log.ts'
import { secretKey, startTestApp, type TestApp, testConfig } from '../harness.ts'
import { addPerson } from '../people-and-keys.ts'
import { startReceiver } from '../receivers.ts'
import { recordedEvents } from '../recorded-events.ts'
import { totalsAndCounts } from './table-contents.ts'

let t: TestApp
let token: string
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())
beforeEach(async () => {
  // Access tokens live 30 minutes of the fake clock.
  token = (await addPerson(t)).token
})

const path = '/api/v1/requests'
const read = async (id: string) => (await t.call('GET', `${path}/${id}`, { as: t.apiKey })).body
const respond = (id: string) => t.call('POST', `${path}/${id}/respond`, { as: token, body: { decision: 'approve' } })

describe('a request times out', () => {
  test('never a millisecond early, and exactly at its time', async () => {
    const { id, timeout_at: timeoutAt } = await t.createRequest({ timeout_minutes: 1 })
    t.clock.advance(59_999)
    await t.app.drain()
    assert.equal(await t.app.consultations.expireDue(100), 0)
    assert.deepEqual([(await read(id)).state, (await read(id)).allowed_actions], ['pending', ['cancel', 'revise']])
    t.clock.advance(1)
    assert.equal(t.clock.now().toISOString(), timeoutAt)
    await t.app.drain()
    const body = await read(id)
    assert.deepEqual(
      [
        body.state,
        body.decided_by,
        body.response,
        body.responded_by,
        body.updated_at,
        body.timeout_at,
        body.allowed_actions,
      ],
      ['timeout', 'timeout', null, null, timeoutAt, timeoutAt, []],
    )
  })

  test('with one event by the service, and one callback without an answer', async () => {
    const receiver = await startReceiver()
    const { id } = await t.createRequest({ timeout_minutes: 1, callback_webhook: receiver.url, metadata: { run: 1 } })
    t.clock.advance(60_000)
    await t.app.drain()
    await t.app.drain()
    const events = (await recordedEvents(t.sql, { subject: id })).slice(1)
    assert.deepEqual(
      events.map(({ kind, actor, http_request_id }) => [kind, actor.kind, actor.id, http_request_id]),
      [
        ['request.timed_out', 'timer', null, null],
        ['request.callback_sent', 'system', null, null],
      ],
    )
    assert.equal(receiver.requests.length, 1)
    const callback = JSON.parse(receiver.requests[0]?.body.toString() ?? '')
    assert.deepEqual(
      [callback.event, callback.state, callback.response, callback.metadata],
      ['request.timeout', 'timeout', null, { run: 1 }],
    )
    await receiver.close()
  })

  test('never if timeout_minutes is null', async () => {
    const { id } = await t.createRequest({ timeout_minutes: null })
    // Less than the year for which the agent's key is valid.
    t.clock.advance(300 * 86_400_000)
    token = (await addPerson(t)).token
    await t.app.drain()
    assert.equal((await read(id)).state, 'pending')
    assert.equal((await respond(id)).status, 200)
  })

  test('not if it was answered in the last millisecond', async () => {
    const { id } = await t.createRequest({ timeout_minutes: 1 })
    t.clock.advance(59_999)
    assert.equal((await respond(id)).status, 200)
    t.clock.advance(3_600_000)
    await t.app.drain()
    assert.equal((await read(id)).state, 'responded')
  })
})

describe('after the timeout and before the sweep', () => {
  for (const ms of [60_000, 60_001, 90_000]) {
    test(`409 already timeout for an answer and a cancellation ${ms} ms after the creation`, async () => {
      const { id, timeout_at: timeoutAt } = await t.createRequest({ timeout_minutes: 1 })
      t.clock.advance(ms)
      const late = await respond(id)
      assert.deepEqual(
        [late.status, late.body.code, late.body.detail, late.body.state, late.body.responded_by, late.body.closed_at],
        [409, 'consultation.already_timeout', 'Request is already timeout, cannot respond', 'timeout', null, timeoutAt],
      )
      const cancelled = await t.call('POST', `${path}/${id}/cancel`, { as: t.apiKey })
      assert.deepEqual([cancelled.status, cancelled.body.detail], [409, 'Request is already timeout, cannot cancel'])
      assert.deepEqual((await read(id)).allowed_actions, [])
      await t.app.drain()
      assert.equal((await read(id)).state, 'timeout')
      assert.equal((await respond(id)).body.detail, 'Request is already timeout, cannot respond')
    })
  }
})

test('the oldest are swept first, and at most the given number at once', async () => {
  const made = []
  for (const minutes of [3, 1, 2]) made.push(await t.createRequest({ timeout_minutes: minutes }))
  t.clock.advance(180_000)
  const expired: string[][] = []
  for (let round = 0; round < 3; round += 1) {
    assert.equal(await t.app.consultations.expireDue(1), 1)
    const states = await Promise.all(
      made.map(async ({ id }) => ((await read(id)).state === 'timeout' ? String(id) : '')),
    )
    expired.push(states.filter((id) => id !== ''))
  }
  assert.equal(await t.app.consultations.expireDue(1), 0)
  const [three, one, two] = made.map(({ id }) => id)
  assert.deepEqual(
    expired.map((ids) => new Set(ids)),
    [new Set([one]), new Set([one, two]), new Set([one, two, three])],
  )
})

test('two processes that sweep at once expire each request once', async () => {
  const config = testConfig()
  const second = await createApp({
    config,
    secretKey,
    connection: t.connection,
    log: createLog('silent', false),
    clock: t.clock,
  })
  try {
    const made = await Promise.all(Array.from({ length: 300 }, () => t.createRequest({ timeout_minutes: 1 })))
    t.clock.advance(60_000)
    const sweeps = [t.app, second].flatMap((app) => Array.from({ length: 5 }, () => app.consultations.expireDue(100)))
    let expired = (await Promise.all(sweeps)).reduce((sum, count) => sum + count, 0)
    for (let more = -1; more !== 0; expired += more) more = await second.consultations.expireDue(100)
    assert.equal(expired, made.length)
    const events = await t.sql(
      `select count(*)::int as events, count(distinct subject_id)::int as requests from events
       where kind = 'request.timed_out' and subject_id = any($1)`,
      [made.map(({ id }) => id)],
    )
    assert.deepEqual(events, [{ events: 300, requests: 300 }])
    const { totals, counts } = await totalsAndCounts(t)
    assert.deepEqual(totals, counts)
  } finally {
    await second.stop()
  }
})

test('the background workers time out and call back by themselves', async () => {
  const receiver = await startReceiver()
  const working = await startTestApp({ workers: true })
  try {
    const { id } = await working.createRequest({ timeout_minutes: 1, callback_webhook: receiver.url })
    working.clock.advance(60_000)
    const [post] = await receiver.waitFor(1)
    assert.equal(JSON.parse(post?.body.toString() ?? '').request_id, id)
  } finally {
    await working.stop()
    await receiver.close()
  }
})
