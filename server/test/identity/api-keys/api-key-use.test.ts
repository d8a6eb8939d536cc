import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { App } from '../../../src/app.ts'
import { mintApiKey } from '../../../src/identity/api-keys/api-key.ts'
import { type KeyScope, keyScopes } from '../../../src/identity/principal.ts'
import { type CallOptions, type Reply, startTestApp, type TestApp } from '../../harness.ts'
import { recordedEvents } from '../../recorded-events.ts'
import { newSession } from '../factors/people.ts'
import { startOther, statusAt, withinASecond } from '../two-processes.ts'

const keys = '/api/v1/api-keys'
let t: TestApp
let other: App
before(async () => {
  t = await startTestApp({ environment: { TRUSTED_PROXIES: '127.0.0.1' } })
  other = await startOther(t)
})
after(async () => {
  await other.stop()
  await t.stop()
})

/** The token of a fresh sign-in, whatever the clock says. */
const admin = async (method: string, path: string, options: CallOptions = {}): Promise<Reply> => {
  const as = await newSession(t, { organizationId: t.organizationId, id: t.admin.id })
  return t.call(method, path, { as, ...options })
}
const create = async (
  terms: Readonly<Record<string, unknown>> = {},
): Promise<{ readonly id: string; readonly agent_id: string; readonly key: string }> => {
  const reply = await admin('POST', keys, { body: { name: 'agent', ...terms } })
  assert.equal(reply.status, 201, reply.text)
  return reply.body
}
const setActive = async (id: string, isActive: boolean): Promise<void> => {
  const reply = await admin('PATCH', `${keys}/${id}`, { body: { is_active: isActive } })
  assert.equal(reply.body.is_active, isActive)
}
const list = (key: string, from?: string): Promise<Reply> =>
  t.call('GET', '/api/v1/requests', { as: key, headers: from === undefined ? {} : { 'x-forwarded-for': from } })
const here = async (key: string): Promise<number> => (await list(key)).status
const there = (key: string): Promise<number> => statusAt(other, key)
const inDays = (days: number): string => new Date(t.clock.now().getTime() + days * 86_400_000).toISOString()
const refusedEvents = async (id: string) =>
  (await recordedEvents(t.sql, { subject: id, kinds: ['api_key.refused'] })).map(({ actor, after, erasable }) => ({
    reason: after.reason,
    key_id: actor.key_id,
    network: erasable.network,
  }))

test('a revoked key is refused at once in the process that revoked it, and within a second in another', async (context) => {
  const { id, key } = await create()
  assert.equal(await here(key), 200)
  assert.equal(await there(key), 200, 'now the other process remembers it')
  await setActive(id, false)
  assert.equal(await here(key), 401)
  await withinASecond(context, () => there(key), 401, 'a revoked key was still served')
})

test('the use of a revoked key is told to its own organization, with the key, and 401 tells its user nothing', async (context) => {
  const { id, key } = await create()
  await setActive(id, false)
  const refused = await list(key, '192.0.2.33')
  assert.deepEqual([refused.status, refused.body.code], [401, 'auth.invalid'])
  assert.equal((await list(mintApiKey(id), '192.0.2.33')).status, 401)
  await list(key, '192.0.2.33')
  await context.waitFor(async () => assert.ok((await refusedEvents(id)).length > 0), { timeout: 5_000 })
  assert.deepEqual(await refusedEvents(id), [{ reason: 'revoked', key_id: id, network: '192.0.2.33' }])
})

test('a key that was revoked under its id in capitals is refused at once too', async () => {
  const { id, key } = await create()
  assert.equal(await here(key), 200)
  await setActive(id.toUpperCase(), false)
  assert.equal(await here(key), 401)
})

test('a restored key works again in both', async (context) => {
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

describe('a key that has expired', () => {
  test('401 auth.key_expired from its expiry on, once in the audit, and not counted as use', async (context) => {
    const { id, key } = await create({ expires_at: inDays(1) })
    assert.equal(await here(key), 200)
    t.clock.advance(86_400_000 - 1)
    assert.equal(await here(key), 200)
    t.clock.advance(1)
    const refused = await list(key, '192.0.2.9')
    assert.deepEqual([refused.status, refused.body.code], [401, 'auth.key_expired'])
    assert.match(String(refused.headers['www-authenticate']), /error="invalid_token"/)
    assert.equal(await there(key), 401)
    await list(key, '192.0.2.9')
    await context.waitFor(async () => assert.ok((await refusedEvents(id)).length > 0), { timeout: 5_000 })
    const told = await refusedEvents(id)
    assert.deepEqual(
      told.filter(({ network }) => network === '192.0.2.9'),
      [{ reason: 'expired', key_id: id, network: '192.0.2.9' }],
    )
    const shown = await admin('GET', `${keys}/${id}`)
    assert.deepEqual([shown.body.is_active, shown.body.expires_soon], [true, true])
    assert.ok(shown.body.last_used_at < shown.body.expires_at)
  })

  test('401 auth.invalid with another secret: only the holder of the key learns that it expired', async () => {
    const { id } = await create({ expires_at: inDays(1) })
    t.clock.advance(2 * 86_400_000)
    const reply = await list(mintApiKey(id))
    assert.deepEqual([reply.status, reply.body.code], [401, 'auth.invalid'])
  })

  test('replies, including refusals, name the expiry in a header during the 30 days before, but not earlier', async () => {
    const far = await create({ expires_at: inDays(31), scopes: ['requests:read'] })
    const near = await create({ expires_at: inDays(30), scopes: ['requests:read'] })
    assert.equal((await list(far.key)).headers['api-key-expires'], undefined)
    const end = new Date(t.clock.now().getTime() + 30 * 86_400_000).toUTCString()
    assert.equal((await list(near.key)).headers['api-key-expires'], end)
    const refused = await t.call('POST', '/api/v1/requests', { as: near.key, body: {} })
    assert.deepEqual([refused.status, refused.headers['api-key-expires']], [403, end])
    assert.equal(new Date(end).toUTCString(), end, 'an HTTP-date')
  })
})

describe('allowed networks', () => {
  const networks = ['192.0.2.0/24', '2001:db8:1::/48', '::ffff:198.51.100.0/120']
  for (const [from, status] of [
    ['192.0.2.1', 200],
    ['192.0.2.255', 200],
    ['::ffff:192.0.2.1', 200],
    ['::ffff:c000:201', 200],
    ['2001:db8:1::1', 200],
    ['2001:0DB8:0001:FFFF::1', 200],
    ['198.51.100.7', 200],
    ['::ffff:198.51.100.7', 200],
    ['192.0.3.1', 403],
    ['2001:db8:2::1', 403],
    ['198.51.101.7', 403],
    ['64:ff9b::192.0.2.1', 403],
    [undefined, 403],
  ] as const) {
    test(`${status} from ${from ?? 'the proxy itself'}`, async () => {
      const { key } = await create({ allowed_networks: networks })
      const reply = await list(key, from)
      assert.deepEqual([reply.status, reply.body.code], [status, status === 200 ? undefined : 'auth.network_refused'])
    })
  }

  test('a header that no trusted proxy wrote does not put a caller into a network', async () => {
    const { key } = await create({ allowed_networks: networks })
    const headers = { authorization: `Bearer ${key}`, 'x-forwarded-for': '192.0.2.1' }
    const reply = await t.app.http.inject({ url: '/api/v1/requests', headers, remoteAddress: '203.0.113.5' })
    assert.equal(reply.statusCode, 403)
    const inside = await t.app.http.inject({ url: '/api/v1/requests', headers, remoteAddress: '192.0.2.77' })
    assert.equal(inside.statusCode, 200)
  })

  test('a call from elsewhere is in the audit once per address and does not count as use', async (context) => {
    const { id, key } = await create({ allowed_networks: networks })
    for (const from of ['203.0.113.1', '203.0.113.1', '203.0.113.2']) assert.equal((await list(key, from)).status, 403)
    await context.waitFor(async () => assert.equal((await refusedEvents(id)).length, 2), { timeout: 5_000 })
    assert.deepEqual(
      (await refusedEvents(id)).map(({ reason, network }) => [reason, network]),
      [
        ['network', '203.0.113.1'],
        ['network', '203.0.113.2'],
      ],
    )
    assert.equal((await admin('GET', `${keys}/${id}`)).body.last_used_at, null)
  })

  test('a change takes effect at once in this process and within a second in another', async (context) => {
    const { id, key } = await create()
    assert.deepEqual([await here(key), await there(key)], [200, 200])
    await admin('PATCH', `${keys}/${id}`, { body: { allowed_networks: networks } })
    assert.equal(await here(key), 403)
    await withinASecond(context, () => there(key), 403, 'a key was still served from a network it had lost')
  })
})

describe('scopes', () => {
  const calls: readonly (readonly [KeyScope, string, string])[] = [
    ['requests:create', 'POST', '/requests'],
    ['requests:read', 'GET', '/requests'],
    ['requests:read', 'GET', '/requests/{id}'],
    ['requests:read', 'GET', '/requests/{id}/deliveries'],
    ['requests:cancel', 'POST', '/requests/{id}/cancel'],
    ['requests:redeliver', 'POST', '/requests/{id}/redeliver'],
    ['requests:redeem', 'POST', '/requests/{id}/redeem'],
  ]
  for (const scope of keyScopes) {
    test(`a key with ${scope} alone can do that and nothing else`, async () => {
      const { agent_id, key: asking } = await create()
      const { key } = await create({ agent_id, scopes: [scope] })
      for (const [needed, method, path] of calls) {
        const body = { title: 'May I?', context: {} }
        const { body: made } = await t.call('POST', '/api/v1/requests', { as: asking, body })
        const options = path === '/requests' && method === 'POST' ? { body } : {}
        const reply = await t.call(method, `/api/v1${path.replace('{id}', made.id)}`, { as: key, ...options })
        if (needed === scope) assert.notEqual(reply.status, 403, `${method} ${path}: ${reply.text}`)
        else {
          assert.deepEqual([reply.status, reply.body.code], [403, 'auth.scope_missing'], `${method} ${path}`)
          assert.match(
            String(reply.headers['www-authenticate']),
            new RegExp(`error="insufficient_scope", scope="${needed}"`),
          )
          assert.match(reply.body.detail, new RegExp(needed))
        }
      }
    })
  }

  test('allowed_actions lists what this key may do, even if two keys read the same page', async () => {
    const { agent_id, key: all } = await create()
    const { key: reader } = await create({ agent_id, scopes: ['requests:read'] })
    await t.call('POST', '/api/v1/requests', { as: all, body: { title: 'May I?', context: {} } })
    const [one, two] = await Promise.all([list(all), list(reader)])
    assert.deepEqual([one.body.items[0].allowed_actions, two.body.items[0].allowed_actions], [['cancel', 'revise'], []])
  })
})

describe('rotation', () => {
  const rotate = (id: string, body: object = {}, headers: Readonly<Record<string, string>> = {}) =>
    admin('POST', `${keys}/${id}/rotate`, { body, headers })

  test('201 with a key for the same agent; both work until the overlap ends, then only the new one', async (context) => {
    const made = await create({ scopes: ['requests:read', 'requests:create'], expires_at: inDays(90) })
    const body = { title: 'asked with the old key', context: {} }
    const asked = await t.call('POST', '/api/v1/requests', {
      as: made.key,
      body,
      headers: { 'idempotency-key': 'one' },
    })
    assert.equal(await there(made.key), 200)
    const reply = await rotate(made.id)
    assert.equal(reply.status, 201, reply.text)
    const { id, key, rotated_from, agent_id, scopes, expires_at } = reply.body
    assert.deepEqual([rotated_from, agent_id], [made.id, made.agent_id])
    assert.deepEqual([scopes, expires_at], [['requests:create', 'requests:read'], inDays(90)])
    assert.equal(reply.headers.location, `${keys}/${id}`)
    assert.deepEqual(
      [await here(made.key), await here(key), await there(made.key), await there(key)],
      Array(4).fill(200),
    )

    const seen = await t.call('GET', `/api/v1/requests/${asked.body.id}`, { as: key })
    assert.deepEqual([seen.status, seen.body.api_key_id], [200, made.id], 'the agent has not lost sight of it')
    const again = await t.call('POST', '/api/v1/requests', { as: key, body, headers: { 'idempotency-key': 'one' } })
    assert.equal(again.headers['idempotency-replayed'], 'true', 'an Idempotency-Key is the agent’s')
    assert.equal(again.body.id, asked.body.id)

    t.clock.advance(1_440 * 60_000 - 1)
    assert.deepEqual([await here(made.key), await there(made.key)], [200, 200])
    t.clock.advance(1)
    assert.deepEqual([await here(made.key), await here(key)], [401, 200])
    await withinASecond(context, () => there(made.key), 401, 'the old key was still served')
    assert.equal(await there(key), 200)
  })

  test('without an overlap the old key ends at once, within a second in another process', async (context) => {
    const made = await create()
    assert.deepEqual([await here(made.key), await there(made.key)], [200, 200])
    assert.equal((await rotate(made.id, { overlap_minutes: 0 })).status, 201)
    assert.equal(await here(made.key), 401)
    await withinASecond(context, () => there(made.key), 401, 'the old key was still served')
  })

  test('409 for a rotated key, naming the one to rotate instead, and for a revoked key', async () => {
    const made = await create()
    const fresh = (await rotate(made.id)).body
    const again = await rotate(made.id)
    assert.deepEqual([again.status, again.body.code, again.body.replaced_by], [409, 'api_key.rotated', fresh.id])
    await setActive(fresh.id, false)
    const revoked = await rotate(fresh.id)
    assert.deepEqual([revoked.status, revoked.body.code], [409, 'api_key.revoked'])
  })

  test('two at once create one new key', async () => {
    const made = await create()
    const replies = await Promise.all([rotate(made.id), rotate(made.id), rotate(made.id.toUpperCase())])
    assert.deepEqual(replies.map(({ status }) => status).sort(), [201, 409, 409])
    assert.equal((await admin('GET', `${keys}?agent_id=${made.agent_id}`)).body.length, 2)
  })

  test('the same Idempotency-Key returns the same key again; 422 for another key', async () => {
    const [one, two] = [await create(), await create()]
    const headers = { 'idempotency-key': `rotate-${one.id}` }
    const first = await rotate(one.id, {}, headers)
    const second = await rotate(one.id, {}, headers)
    assert.deepEqual([second.status, second.headers['idempotency-replayed']], [201, 'true'])
    assert.deepEqual(second.body, first.body)
    const other = await rotate(two.id, {}, headers)
    assert.deepEqual([other.status, other.body.code], [422, 'idempotency.body_differs'])
    assert.equal((await admin('GET', `${keys}?agent_id=${two.agent_id}`)).body.length, 1)
  })

  for (const body of [
    { overlap_minutes: -1 },
    { overlap_minutes: 43_201 },
    { overlap_minutes: '5' },
    { overlap_minutes: 1.5 },
    { overlap_minutes: null },
    { expires_at: null },
    { expires_at: '2020-01-01T00:00:00Z' },
  ]) {
    test(`422, and nothing changed: ${JSON.stringify(body)}`, async () => {
      const made = await create()
      assert.equal((await rotate(made.id, body)).status, 422)
      const { key, ...shown } = made
      assert.deepEqual((await admin('GET', `${keys}?agent_id=${made.agent_id}`)).body, [shown])
    })
  }
})

describe('a step-up', () => {
  const stale = async (): Promise<string> => {
    t.clock.advance(7 * 86_400_000)
    const as = await newSession(t, { organizationId: t.organizationId, id: t.admin.id })
    await t.sql(`update sessions set signed_in_at = $1 where signed_in_at = $2`, [
      new Date(t.clock.now().getTime() - 6 * 86_400_000),
      t.clock.now(),
    ])
    return as
  }

  test('is needed to create, rotate and restore keys and to change their rights, but not to revoke or rename them', async () => {
    const made = await create()
    const as = await stale()
    const path = `${keys}/${made.id}`
    for (const [method, target, body] of [
      ['POST', keys, { name: 'another' }],
      ['POST', `${path}/rotate`, {}],
      ['PATCH', path, { is_active: true }],
      ['PATCH', path, { scopes: ['requests:read'] }],
      ['PATCH', path, { expires_at: inDays(300) }],
      ['PATCH', path, { allowed_networks: [] }],
    ] as const) {
      const reply = await t.call(method, target, { as, body })
      assert.deepEqual([reply.status, reply.body.code], [403, 'auth.step_up_required'], JSON.stringify(body))
    }
    assert.equal((await t.call('PATCH', path, { as, body: { name: 'renamed' } })).status, 200)
    assert.equal((await t.call('PATCH', path, { as, body: { is_active: false } })).status, 200)
  })

  test('is in the event of its act, with its digest', async () => {
    const { id } = await create()
    const [event] = await recordedEvents(t.sql, { subject: id, kinds: ['api_key.created'] })
    assert.match(String(event?.digest), /^[0-9a-f]{64}$/)
    assert.equal(event?.after.assurance.method, 'sign_in')
  })
})

describe('last_used_at', () => {
  const lastUsed = async (id: string): Promise<string | null> => (await admin('GET', `${keys}/${id}`)).body.last_used_at

  test('is at most a minute old, and updating it does not count as a change of the key', async (context) => {
    const { id, key } = await create()
    const { updated_at } = (await admin('GET', `${keys}/${id}`)).body
    assert.equal(await lastUsed(id), null)
    await here(key)
    const first = t.clock.now().toISOString()
    await context.waitFor(async () => assert.equal(await lastUsed(id), first), { timeout: 5_000 })
    t.clock.advance(60_000)
    await here(key)
    const second = t.clock.now().toISOString()
    await context.waitFor(async () => assert.equal(await lastUsed(id), second), { timeout: 5_000 })
    assert.equal((await admin('GET', `${keys}/${id}`)).body.updated_at, updated_at)
  })

  test('comes with the address of the last use', async (context) => {
    const { id, key } = await create()
    const address = async () => (await admin('GET', `${keys}/${id}`)).body.last_used_address
    assert.equal(await address(), null)
    await list(key, '2001:DB8::7')
    await context.waitFor(async () => assert.equal(await address(), '2001:db8::7'), { timeout: 5_000 })
    t.clock.advance(60_000)
    await list(key, '::ffff:192.0.2.1')
    await context.waitFor(async () => assert.equal(await address(), '192.0.2.1'), { timeout: 5_000 })
  })

  test('shows a use from another address at once, however soon after one from the usual address', async (context) => {
    const { id, key } = await create()
    const shown = async () => {
      const { body } = await admin('GET', `${keys}/${id}`)
      return [body.last_used_at, body.last_used_address]
    }
    for (const from of ['192.0.2.1', '203.0.113.66', '192.0.2.1']) {
      await list(key, from)
      const use = [t.clock.now().toISOString(), from]
      await context.waitFor(async () => assert.deepEqual(await shown(), use), { timeout: 5_000 })
      t.clock.advance(10_000)
    }
  })

  test('does not change when the key is refused', async () => {
    const { id, key } = await create()
    await setActive(id, false)
    assert.equal(await here(key), 401)
    assert.equal(await lastUsed(id), null)
  })
})
