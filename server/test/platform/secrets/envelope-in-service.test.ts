import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { type App, createApp } from '../../../src/app.ts'
import { installationId } from '../../../src/platform/ids.ts'
import { createLog } from '../../../src/platform/log.ts'
import { secretKey, startTestApp, type TestApp, testConfig } from '../../harness.ts'
import { type Receiver, startReceiver } from '../../receivers.ts'
import { recordedEvents } from '../../recorded-events.ts'

const key = (id: string): string => `${id}:${randomBytes(32).toString('base64')}`
const [first, second] = [key('first'), key('second')]
const log = createLog('silent', false)

let t: TestApp
let receiver: Receiver
before(async () => {
  t = await startTestApp({ environment: { KEY_ENCRYPTION_KEYS: first } })
  receiver = await startReceiver()
})
after(async () => {
  await receiver.close()
  await t.stop()
})

/** The service after a restart with other keys. */
async function restarted(environment: Readonly<Record<string, string>>, with_ = secretKey): Promise<App> {
  const config = testConfig(environment)
  return createApp({ config, secretKey: with_, connection: t.connection, log, clock: t.clock })
}
const callback_secret = 'a callback secret that must be there again'
const asking = () => ({ title: 'Sealed?', context: {}, callback_webhook: receiver.url, callback_secret })

async function call(app: App, method: 'GET' | 'POST', url: string, as: string, payload?: object) {
  const reply = await app.http.inject({
    method,
    url,
    headers: { authorization: `Bearer ${as}` },
    ...(payload === undefined ? {} : { payload }),
  })
  return { status: reply.statusCode, body: reply.json() }
}
const ask = (app: App, body: object) => call(app, 'POST', '/api/v1/requests', t.apiKey, body)
const answer = (app: App, id: string) =>
  call(app, 'POST', `/api/v1/requests/${id}/respond`, t.reviewer.token, { decision: 'approve' })

/** Creates a request before `change` and answers it afterwards: the callback's signature proves that the secret was read. */
async function survives(change: () => Promise<App>): Promise<void> {
  const asked = await t.createRequest(asking())
  const app = await change()
  try {
    const already = receiver.requests.length
    const answered = await answer(app, asked.id)
    assert.equal(answered.status, 200, JSON.stringify(answered.body))
    await app.drain()
    const [delivered] = receiver.requests.slice(already)
    assert.ok(delivered, 'it was delivered')
    const expected = createHmac('sha256', callback_secret).update(delivered.body).digest('hex')
    assert.equal(delivered.headers['x-webhook-signature'], `sha256=${expected}`)
    assert.equal((await ask(app, asking())).status, 201)
  } finally {
    await app.stop()
  }
}

describe('a callback secret can be decrypted', () => {
  test('by another process with the same keys', () => survives(() => restarted({ KEY_ENCRYPTION_KEYS: first })))
  test('with a new key in front of the old one', () =>
    survives(() => restarted({ KEY_ENCRYPTION_KEYS: `${second},${first}` })))
  test('while everything is re-encrypted under a new key, and after the old key was removed', async () => {
    await survives(async () => {
      const app = await restarted({ KEY_ENCRYPTION_KEYS: `${second},${first}` })
      const report = await app.rewrap({ rotateDataKeys: true, settleMs: 0 })
      assert.ok(report.dataKeys.rewrapped >= 2, JSON.stringify(report))
      assert.ok(report.values.resealed >= 4, JSON.stringify(report))
      assert.deepEqual([report.dataKeys.unavailable, report.values.unreadable], [0, 0])
      await app.stop()
      return restarted({ KEY_ENCRYPTION_KEYS: second })
    })
    const app = await restarted({ KEY_ENCRYPTION_KEYS: `${first},${second}` })
    await app.rewrap()
    await app.stop()
  })
})

describe('the audit records changed keys', () => {
  const keyEvents = async (own: TestApp) => {
    const events = (await recordedEvents(own.sql)).filter(({ kind }) => /^data_key\.|^secret\.resealed$/.test(kind))
    return events
      .map(({ organization_id, kind, actor, before, after }) => ({
        organization_id,
        kind,
        actor_kind: actor.kind,
        before,
        after,
      }))
      .toSorted((one, other) => (one.organization_id < other.organization_id ? -1 : 1))
  }

  test('one event of each kind per organization, with the counts; none if there was nothing to do', async (context) => {
    const own = await startTestApp({ environment: { KEY_ENCRYPTION_KEYS: first } })
    context.after(() => own.stop())
    await own.createRequest(asking())
    await own.app.identity.signingKeys.keySet()
    assert.deepEqual(await keyEvents(own), [])
    const config = testConfig({ KEY_ENCRYPTION_KEYS: `${second},${first}` })
    const app = await createApp({ config, secretKey, connection: own.connection, log, clock: own.clock })
    context.after(() => app.stop())
    await app.rewrap()
    const ids = [installationId, own.organizationId]
    const wrapped = { kek_id: 'second', data_keys: 1, unavailable: 0 }
    const told = { kind: 'data_key.rewrapped', actor_kind: 'system', before: null, after: wrapped }
    assert.deepEqual(
      await keyEvents(own),
      ids.map((organization_id) => ({ organization_id, ...told })),
    )
    await app.rewrap()
    assert.equal((await keyEvents(own)).length, 2, 'there was nothing to do')

    const report = await app.rewrap({ rotateDataKeys: true, settleMs: 0 })
    const events = (await keyEvents(own)).filter(({ kind }) => kind !== 'data_key.rewrapped')
    assert.deepEqual(
      events.map(({ organization_id, kind, actor_kind }) => [organization_id, kind, actor_kind]),
      ids.flatMap((id) => [
        [id, 'data_key.rotated', 'system'],
        [id, 'secret.resealed', 'system'],
      ]),
    )
    const keys = await own.sql('select id, organization_id, retired_at is not null as retired from data_keys')
    const idOf = (organizationId: string, retired: boolean) =>
      keys.find((one) => one.organization_id === organizationId && one.retired === retired)?.id
    let values = 0
    for (const { organization_id, kind, before, after } of events) {
      assert.equal(after.data_key_id, idOf(organization_id, false))
      if (kind === 'data_key.rotated') assert.deepEqual(before, { data_key_id: idOf(organization_id, true) })
      else values += Number(after.values)
    }
    assert.equal(values, report.values.resealed)
    assert.ok(values >= 3)
  })

  test('a key that could not be decrypted is counted separately', async (context) => {
    const own = await startTestApp({ environment: { KEY_ENCRYPTION_KEYS: first } })
    context.after(() => own.stop())
    await own.createRequest(asking())
    await own.app.rewrap({ rotateDataKeys: true, settleMs: 0 })
    await own.sql(`update data_keys set kek_id = 'lost' where organization_id = $1 and retired_at is not null`, [
      own.organizationId,
    ])
    const config = testConfig({ KEY_ENCRYPTION_KEYS: `${second},${first}` })
    const app = await createApp({ config, secretKey, connection: own.connection, log, clock: own.clock })
    context.after(() => app.stop())
    const { dataKeys } = await app.rewrap()
    assert.equal(dataKeys.unavailable, 1)
    const event = (await keyEvents(own)).find(
      ({ kind, organization_id }) => kind === 'data_key.rewrapped' && organization_id === own.organizationId,
    )
    assert.deepEqual(event?.after, { kek_id: 'second', data_keys: 1, unavailable: 1 })
  })
})

describe('without the key that sealed: 503 service.key_unavailable, never an answer, never in the clear', () => {
  let lost: App
  before(async () => {
    lost = await restarted({ KEY_ENCRYPTION_KEYS: second })
  })
  after(() => lost.stop())

  test('for a request with a secret; one without is accepted', async () => {
    const count = async () => (await t.sql('select count(*)::int as rows from consultation_requests'))[0]?.rows
    const before = await count()
    const reply = await ask(lost, asking())
    assert.deepEqual([reply.status, reply.body.code], [503, 'service.key_unavailable'])
    assert.doesNotMatch(JSON.stringify(reply.body), /first|second|data key|callback secret/)
    assert.equal(await count(), before)
    assert.equal((await ask(lost, { title: 'x', context: {} })).status, 201)
  })
  test('for a decision, which could not be certified; the request stays open', async () => {
    const { id } = await t.createRequest()
    const reply = await answer(lost, id)
    assert.deepEqual([reply.status, reply.body.code], [503, 'service.key_unavailable'])
    assert.equal((await t.call('GET', `/api/v1/requests/${id}`, { as: t.apiKey })).body.state, 'pending')
  })
  test('a callback is not sent unsigned: the attempt fails, and a process with the key makes the next', async () => {
    const already = receiver.requests.length
    const { id } = await t.createRequest({ ...asking(), callback_retry_seconds: [1, 1] })
    // Answered by a process that delivers nothing, so the callback waits for the first worker that polls.
    const api = await restarted({ KEY_ENCRYPTION_KEYS: first, ROLE: 'api' })
    await call(api, 'POST', `/api/v1/requests/${id}/cancel`, t.apiKey)
    await api.stop()
    // The audit cannot be sealed without its key either, which drain may log.
    await lost.drain().catch(() => {})
    assert.equal(receiver.requests.length, already)
    const [attempt] = await t.sql('select error_code, status_code from delivery_attempts where subject_id = $1', [id])
    assert.deepEqual(attempt, { error_code: 'secret', status_code: null })
    t.clock.advance(10_000)
    await t.app.drain()
    assert.equal(receiver.requests.length, already + 1)
    assert.ok(receiver.requests[already]?.headers['x-webhook-signature'])
    const shown = await t.call('GET', `/api/v1/requests/${id}`, { as: t.apiKey })
    assert.equal(shown.body.callback.status, 'sent')
  })
  test('for the key set: its own keys cannot be told from those that somebody put into the database', async () => {
    const reply = await lost.http.inject({ method: 'GET', url: '/.well-known/jwks.json' })
    assert.deepEqual([reply.statusCode, reply.json().code], [503, 'service.key_unavailable'])
  })
})

test('a change of SECRET_KEY: secrets still decrypt with SECRET_KEY_PREVIOUS and, after a re-wrap, without it', async (context) => {
  const own = await startTestApp()
  context.after(() => own.stop())
  const next = 'the next secret key, which is long enough as well'
  const open = async (environment: Readonly<Record<string, string>>) =>
    createApp({ config: testConfig(environment), secretKey: next, connection: own.connection, log, clock: own.clock })
  const asked = await own.createRequest(asking())
  const act = (app: App, id: string, what: string) => call(app, 'POST', `/api/v1/requests/${id}/${what}`, own.apiKey)
  /** Whether the callback that the act caused was signed; undefined if none arrived. */
  const delivered = async (app: App, id: string, what: string): Promise<readonly boolean[]> => {
    const already = receiver.requests.length
    const reply = await act(app, id, what)
    assert.ok(reply.status < 300, JSON.stringify(reply.body))
    // The audit cannot be sealed without its key either, which drain logs.
    await app.drain().catch(() => {})
    return receiver.requests.slice(already).map((one) => one.headers['x-webhook-signature'] !== undefined)
  }
  const without = await open({})
  assert.deepEqual(await delivered(without, asked.id, 'cancel'), [], 'not without the former key')
  await without.stop()

  const later = await own.createRequest(asking())
  const changed = await open({ SECRET_KEY_PREVIOUS: secretKey })
  assert.deepEqual(await delivered(changed, later.id, 'cancel'), [true])
  const report = await changed.rewrap()
  assert.ok(report.dataKeys.rewrapped >= 1 && report.dataKeys.unavailable === 0, JSON.stringify(report))
  await changed.stop()

  const after = await open({})
  assert.deepEqual(await delivered(after, later.id, 'redeliver'), [true])
  await after.stop()
})
