import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type App, createApp } from '../../src/app.ts'
import { mintApiKey } from '../../src/identity/agents/api-key.ts'
import { createLog } from '../../src/platform/log.ts'
import { secretKey, startTestApp, type TestApp, testConfig } from '../harness.ts'

const keys = '/api/v1/api-keys'
let t: TestApp
/** Another process of the same installation: only the database is shared. */
let other: App
before(async () => {
  t = await startTestApp()
  const log = createLog('silent', false)
  other = await createApp({ config: testConfig(), secretKey, connection: t.connection, log, clock: t.clock })
})
after(async () => {
  await other.stop()
  await t.stop()
})

const create = async (): Promise<{ readonly id: string; readonly key: string }> =>
  (await t.call('POST', keys, { as: t.admin.token, body: { name: 'agent' } })).body
const setActive = async (id: string, isActive: boolean): Promise<void> => {
  const reply = await t.call('PATCH', `${keys}/${id}`, { as: t.admin.token, body: { is_active: isActive } })
  assert.equal(reply.body.is_active, isActive)
}
const here = async (key: string): Promise<number> => (await t.call('GET', '/api/v1/requests', { as: key })).status
const there = async (key: string): Promise<number> =>
  (await other.http.inject({ url: '/api/v1/requests', headers: { authorization: `Bearer ${key}` } })).statusCode

test('a revoked key is refused at once in the process that revoked it, and within a second in another', async (context) => {
  const { id, key } = await create()
  assert.equal(await here(key), 200)
  assert.equal(await there(key), 200, 'now the other process remembers it')
  await setActive(id, false)
  const revoked = performance.now()
  assert.equal(await here(key), 401)
  let lastServed = revoked
  await context.waitFor(
    async () => {
      const asked = performance.now()
      const status = await there(key)
      if (status === 200) lastServed = asked
      assert.equal(status, 401)
    },
    { interval: 20, timeout: 5_000 },
  )
  assert.ok(lastServed - revoked <= 1_000, `still served ${lastServed - revoked} ms after the revocation`)
})

test('a key that was revoked under its id in capitals is refused at once too', async () => {
  const { id, key } = await create()
  assert.equal(await here(key), 200)
  await setActive(id.toUpperCase(), false)
  assert.equal(await here(key), 401)
})

test('a key that is restored works again, in both', async (context) => {
  const { id, key } = await create()
  await setActive(id, false)
  assert.equal(await there(key), 401)
  await setActive(id, true)
  assert.equal(await here(key), 200)
  await context.waitFor(async () => assert.equal(await there(key), 200), { interval: 20, timeout: 5_000 })
})

describe('401 for a key that is almost right', () => {
  test('one character changed, anywhere', async () => {
    const { key } = await create()
    for (let place = 0; place < key.length; place += 7) {
      const changed = key.slice(0, place) + (key[place] === '7' ? '8' : '7') + key.slice(place + 1)
      assert.equal(await here(changed), 401, `place ${place}`)
    }
    assert.equal(await here(key.slice(0, -1)), 401)
    assert.equal(await here(`${key}0`), 401)
    assert.equal(await here(key.toLowerCase()), 401)
  })

  test('the right id and checksum with another secret', async () => {
    const { id } = await create()
    assert.equal(await here(mintApiKey(id)), 401)
  })
})

describe('last_used_at', () => {
  const lastUsed = async (id: string): Promise<string | null> =>
    (await t.call('GET', `${keys}/${id}`, { as: t.admin.token })).body.last_used_at

  test('tells the last use, at most a minute stale, and is no change of the key', async (context) => {
    const { id, key } = await create()
    const { updated_at } = (await t.call('GET', `${keys}/${id}`, { as: t.admin.token })).body
    assert.equal(await lastUsed(id), null)
    await here(key)
    const first = t.clock.now().toISOString()
    await context.waitFor(async () => assert.equal(await lastUsed(id), first), { timeout: 5_000 })
    t.clock.advance(60_000)
    await here(key)
    const second = t.clock.now().toISOString()
    await context.waitFor(async () => assert.equal(await lastUsed(id), second), { timeout: 5_000 })
    assert.equal((await t.call('GET', `${keys}/${id}`, { as: t.admin.token })).body.updated_at, updated_at)
  })

  test('a refused key was not used', async () => {
    const { id, key } = await create()
    await setActive(id, false)
    assert.equal(await here(key), 401)
    assert.equal(await lastUsed(id), null)
  })
})
