import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { App } from '../../../src/app.ts'
import { apiKeyPattern, mintApiKey } from '../../../src/identity/api-keys/api-key.ts'
import { newId } from '../../../src/platform/ids.ts'
import { type CallOptions, type Reply, startTestApp, type TestApp } from '../../harness.ts'
import { addOrganization } from '../../people-and-keys.ts'
import { recordedEvents } from '../../recorded-events.ts'
import { newSession } from '../factors/people.ts'
import { startOther, statusAt, withinASecond } from '../two-processes.ts'

const path = '/api/v1/api-keys/revoke-leaked'
let t: TestApp
let other: App
before(async () => {
  t = await startTestApp({ environment: { TRUSTED_PROXIES: '127.0.0.1', PUBLIC_URL: 'https://hitl.example.com' } })
  other = await startOther(t)
})
after(async () => {
  await other.stop()
  await t.stop()
})

let networks = 0
/** From a network without earlier calls, unless one is given. */
const report = (key: unknown, network?: string): Promise<Reply> => {
  networks += 1
  const from = network ?? `198.51.100.${networks}`
  return t.call('POST', path, { body: { key }, headers: { 'x-forwarded-for': from, 'x-request-id': 'the-same' } })
}
const admin = async (method: string, target: string, options: CallOptions = {}): Promise<Reply> => {
  const as = await newSession(t, { organizationId: t.organizationId, id: t.admin.id })
  return t.call(method, target, { as, ...options })
}
const create = async (): Promise<{ readonly id: string; readonly key: string }> =>
  (await admin('POST', '/api/v1/api-keys', { body: { name: 'agent' } })).body
const keyOf = async (id: string) => (await admin('GET', `/api/v1/api-keys/${id}`)).body
const events = async (id: string) =>
  (await recordedEvents(t.sql, { subject: id, kinds: ['api_key.leaked'] })).map(({ actor, after, erasable }) => ({
    actor_kind: actor.kind,
    network: erasable.network,
    is_active: after.is_active,
  }))

describe('POST /api-keys/revoke-leaked', () => {
  test('202, and the key stops working at once here and within a second elsewhere, for good', async (context) => {
    const { id, key } = await create()
    assert.deepEqual([await statusAt(t.app, key), await statusAt(other, key)], [200, 200])
    const reply = await report(key, '203.0.113.9')
    assert.deepEqual([reply.status, reply.body], [202, { status: 'accepted' }])
    assert.equal(await statusAt(t.app, key), 401)
    await withinASecond(context, () => statusAt(other, key), 401, 'a leaked key was still served')
    assert.deepEqual(await events(id), [{ actor_kind: 'anonymous', network: '203.0.113.9', is_active: false }])
    const shown = await keyOf(id)
    const now = t.clock.now().toISOString()
    assert.deepEqual([shown.is_active, shown.revoked_at, shown.revoked_by, shown.leaked_at], [false, now, null, now])
    const restored = await admin('PATCH', `/api/v1/api-keys/${id}`, { body: { is_active: true } })
    assert.deepEqual([restored.status, restored.body.code], [409, 'api_key.leaked'])
    assert.equal(await statusAt(t.app, key), 401)
  })

  test('the same bytes for a key that is known, unknown, malformed, of another organization, revoked or already reported', async () => {
    const [known, revoked, reported] = [await create(), await create(), await create()]
    await admin('PATCH', `/api/v1/api-keys/${revoked.id}`, { body: { is_active: false } })
    await report(reported.key)
    const foreign = await addOrganization(t)
    const answers = []
    for (const key of [
      known.key,
      mintApiKey(newId()),
      mintApiKey(known.id),
      `${known.key.slice(0, -1)}!`,
      'hitl_',
      foreign.apiKey.raw,
      revoked.key,
      reported.key,
    ]) {
      const { status, text, headers } = await report(key)
      const { date: _date, ratelimit: _limit, ...rest } = headers
      answers.push(JSON.stringify([status, text, rest]))
    }
    assert.equal(new Set(answers).size, 1, answers.join('\n'))
    assert.match(answers[0] ?? '', /^\[202,/)
    assert.equal((await keyOf(known.id)).is_active, false)
    assert.equal((await keyOf(revoked.id)).leaked_at, t.clock.now().toISOString(), 'it is never restored now')
    assert.equal((await events(reported.id)).length, 1, 'told once')
  })

  test('a key with the right id and another secret revokes nothing', async () => {
    const { id, key } = await create()
    await report(mintApiKey(id))
    assert.equal(await statusAt(t.app, key), 200)
    assert.deepEqual(await events(id), [])
  })

  test('six reports at once are one event', async () => {
    const { id, key } = await create()
    const replies = await Promise.all(Array.from({ length: 6 }, () => report(key)))
    assert.deepEqual(
      replies.map(({ status }) => status),
      Array(6).fill(202),
    )
    assert.equal((await events(id)).length, 1)
  })

  test('a caller that reports keys at random is slowed down, whether they exist or not; others are not', async () => {
    const guesser = '203.0.113.66'
    let refused: Reply | null = null
    for (let guess = 0; guess < 100 && refused === null; guess += 1) {
      const reply = await report(mintApiKey(newId()), guesser)
      if (reply.status === 429) refused = reply
    }
    assert.equal(refused?.body.code, 'auth.throttled')
    const { id, key } = await create()
    const held = await report(key, guesser)
    assert.deepEqual([held.status, held.body.code], [429, 'auth.throttled'])
    assert.equal((await keyOf(id)).is_active, true)
    assert.equal((await report(key)).status, 202)
    assert.equal((await keyOf(id)).is_active, false)
  })

  for (const body of [
    {},
    { key: null },
    { key: 5 },
    { key: '' },
    { key: 'x'.repeat(1_001) },
    { key: ['x'] },
    'x',
    [],
  ]) {
    test(`422: ${JSON.stringify(body).slice(0, 40)}`, async () => {
      assert.equal((await t.call('POST', path, { body })).status, 422)
    })
  }

  test('the key is in no log, event or error', async () => {
    const { key } = await create()
    await report(key)
    assert.ok(!JSON.stringify(await recordedEvents(t.sql)).includes(key))
  })
})

test('GET /.well-known/hitl-api-key.json tells scanners what to look for and where to report it', async () => {
  const reply = await t.call('GET', '/.well-known/hitl-api-key.json')
  assert.equal(reply.status, 200)
  assert.equal(reply.headers['access-control-allow-origin'], '*')
  assert.match(String(reply.headers['cache-control']), /^public/)
  const { key } = await create()
  const pattern = new RegExp(reply.body.regex, 'g')
  assert.deepEqual(`HITL_KEY=${key}\n# ${key}x and x${key}`.match(pattern), [key])
  assert.match(key, apiKeyPattern)
  assert.ok(key.startsWith(reply.body.prefix) && key.length === reply.body.length)
  const { method, url } = reply.body.revocation
  assert.deepEqual([method, url], ['POST', `https://hitl.example.com${path}`])
  assert.equal((await t.call(method, new URL(url).pathname, { body: { key } })).status, 202)
  assert.equal(await statusAt(t.app, key), 401)
})
