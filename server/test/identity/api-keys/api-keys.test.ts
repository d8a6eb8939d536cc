import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { apiKeyId, apiKeyPattern } from '../../../src/identity/api-keys/api-key.ts'
import { keyScopes } from '../../../src/identity/principal.ts'
import { type CallOptions, startTestApp, type TestApp } from '../../harness.ts'

const keys = '/api/v1/api-keys'
let t: TestApp
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())

const admin = (method: string, path: string, options: CallOptions = {}) =>
  t.call(method, path, { as: t.admin.token, ...options })
const create = async (body: Readonly<Record<string, unknown>> = { name: 'agent' }) => {
  const reply = await admin('POST', keys, { body })
  assert.equal(reply.status, 201, reply.text)
  return reply.body
}
const inDays = (days: number): string => new Date(t.clock.now().getTime() + days * 86_400_000).toISOString()
const rows = async (): Promise<number> => (await t.sql('select from api_keys')).length

describe('POST /api-keys', () => {
  test('201 with the raw key, which works; only its SHA-256 is stored', async () => {
    const reply = await admin('POST', keys, {
      body: { name: 'deploy-bot', description: 'asks first' },
    })
    assert.equal(reply.status, 201, reply.text)
    const { id, agent_id: agentId, key, ...rest } = reply.body
    const now = t.clock.now().toISOString()
    assert.deepEqual(rest, {
      name: 'deploy-bot',
      description: 'asks first',
      is_active: true,
      scopes: keyScopes,
      expires_at: inDays(365),
      expires_soon: false,
      allowed_networks: [],
      last_used_at: null,
      last_used_address: null,
      rotated_from: null,
      revoked_at: null,
      revoked_by: null,
      leaked_at: null,
      created_at: now,
      updated_at: now,
    })
    const agent = await admin('GET', `/api/v1/agents/${agentId}`)
    assert.deepEqual(
      [agent.body.name, agent.body.description, agent.body.owner_id, agent.body.status],
      ['deploy-bot', 'asks first', t.admin.id, 'active'],
    )
    assert.equal(reply.headers.location, `${keys}/${id}`)
    assert.match(key, apiKeyPattern)
    assert.equal(apiKeyId(key), id, 'the key names its row')
    const [row] = await t.sql('select key_hash, row_to_json(k)::text as all from api_keys k where id = $1', [id])
    assert.deepEqual(row?.key_hash, createHash('sha256').update(key).digest())
    assert.ok(!String(row?.all).includes(key))
    assert.equal((await t.call('GET', '/api/v1/requests', { as: key })).status, 200)
  })

  test('the raw key and its hash are in no later reply', async () => {
    const { id, key } = await create()
    const hash = createHash('sha256').update(key).digest()
    for (const reply of [
      await admin('GET', keys),
      await admin('GET', `${keys}/${id}`),
      await admin('PATCH', `${keys}/${id}`, { body: { name: 'renamed' } }),
      await admin('PATCH', `${keys}/${id}`, { body: {} }),
    ]) {
      assert.equal(reply.status, 200)
      for (const secret of [key, hash.toString('hex'), hash.toString('base64'), hash.toString('base64url')]) {
        assert.ok(!reply.text.includes(secret))
      }
      assert.doesNotMatch(reply.text, /"(key|key_hash|hash)"/)
    }
  })

  test('two keys with the same name are two keys of two agents', async () => {
    const [first, second] = [await create({ name: 'twin' }), await create({ name: 'twin' })]
    assert.notEqual(first.id, second.id)
    assert.notEqual(first.key, second.key)
    assert.notEqual(first.agent_id, second.agent_id)
  })

  test('an agent can have several keys, each with its own terms', async () => {
    const first = await create({ name: 'one' })
    const second = await create({
      name: 'two',
      agent_id: first.agent_id.toUpperCase(),
      scopes: ['requests:read', 'requests:create'],
      expires_at: inDays(10).replace('Z', '+00:00'),
      allowed_networks: ['2001:DB8::/32', '::ffff:192.0.2.0/120'],
    })
    assert.deepEqual(
      [second.agent_id, second.scopes, second.expires_at, second.expires_soon, second.allowed_networks],
      [first.agent_id, ['requests:create', 'requests:read'], inDays(10), true, ['2001:db8::/32', '192.0.2.0/24']],
    )
    const own = await admin('GET', `${keys}?agent_id=${first.agent_id}`)
    assert.deepEqual(
      own.body.map(({ id }: { id: string }) => id),
      [second.id, first.id],
    )
    assert.equal((await admin('GET', `${keys}?agent_id=${randomUUID()}`)).body.length, 0)
  })

  for (const [path, body] of [
    ['name', {}],
    ['name', { name: '' }],
    ['name', { name: 'x'.repeat(256) }],
    ['name', { name: null }],
    ['name', { name: 5 }],
    ['name', { name: 'a\0b' }],
    ['description', { name: 'a', description: 'x'.repeat(513) }],
    ['description', { name: 'a', description: false }],
    ['agent_id', { name: 'a', agent_id: 'mine' }],
    ['agent_id', { name: 'a', agent_id: randomUUID() }],
    ['agent_id', { name: 'a', agent_id: null }],
    ['scopes', { name: 'a', scopes: [] }],
    ['scopes', { name: 'a', scopes: 'requests:read' }],
    ['scopes', { name: 'a', scopes: ['requests:read', 'requests:read'] }],
    ['scopes.0', { name: 'a', scopes: ['requests:everything'] }],
    ['expires_at', { name: 'a', expires_at: null }],
    ['expires_at', { name: 'a', expires_at: 'tomorrow' }],
    ['expires_at', { name: 'a', expires_at: '2026-02-30T00:00:00Z' }],
    ['expires_at', { name: 'a', expires_at: '2020-01-01T00:00:00Z' }],
    ['expires_at', { name: 'a', expires_at: '2099-01-01T00:00:00Z' }],
    ['allowed_networks', { name: 'a', allowed_networks: '10.0.0.0/8' }],
    ['allowed_networks', { name: 'a', allowed_networks: Array(51).fill('10.0.0.0/8') }],
    ['allowed_networks.1', { name: 'a', allowed_networks: ['10.0.0.0/8', '0.0.0.0/0'] }],
  ] as const) {
    test(`422 naming ${path}: ${JSON.stringify(body).slice(0, 60)}`, async () => {
      const before = await rows()
      const reply = await admin('POST', keys, { body })
      assert.equal(reply.status, 422, reply.text)
      assert.ok(
        reply.body.errors.some((error: { path: string }) => error.path === path),
        reply.text,
      )
      assert.equal(await rows(), before)
    })
  }

  test('the longest name and description fit, counted in characters', async () => {
    const body = { name: '😀'.repeat(255), description: '😀'.repeat(512) }
    const made = await create(body)
    assert.equal(made.name, body.name)
    assert.equal(made.description, body.description)
  })
})

describe('Idempotency-Key', () => {
  const post = (key: string, body: unknown, as = t.admin.token) =>
    t.call('POST', keys, { as, body, headers: { 'idempotency-key': key } })

  test('the same key and body give the same reply, even after the API key was used and revoked', async () => {
    const before = await rows()
    const first = await post('order-1', { name: 'once' })
    assert.equal(first.status, 201)
    assert.equal(first.headers['idempotency-replayed'], undefined)
    await t.call('GET', '/api/v1/requests', { as: first.body.key })
    await admin('PATCH', `${keys}/${first.body.id}`, { body: { is_active: false } })
    const second = await post('order-1', { name: 'once' })
    assert.equal(second.status, 201)
    assert.equal(second.headers['idempotency-replayed'], 'true')
    assert.equal(second.headers.location, first.headers.location)
    assert.deepEqual(second.body, first.body)
    assert.equal(await rows(), before + 1)
  })

  test('422 for the same key with another body, and no API key is created', async () => {
    await post('order-2', { name: 'once' })
    const before = await rows()
    const reply = await post('order-2', { name: 'twice' })
    assert.equal(reply.status, 422)
    assert.equal(reply.body.code, 'idempotency.body_differs')
    assert.equal(await rows(), before)
  })

  test('6 at once create one API key and get equal replies', async () => {
    const before = await rows()
    const replies = await Promise.all(Array.from({ length: 6 }, () => post('order-3', { name: 'storm' })))
    assert.deepEqual(
      replies.map((reply) => reply.status),
      Array(6).fill(201),
    )
    assert.equal(new Set(replies.map((reply) => reply.text)).size, 1)
    assert.equal(replies.filter((reply) => reply.headers['idempotency-replayed'] === undefined).length, 1)
    assert.equal(await rows(), before + 1)
  })

  test('a repetition registers no second agent', async () => {
    const agents = async () => (await t.sql('select from agents')).length
    await post('order-5', { name: 'one agent' })
    const before = await agents()
    await post('order-5', { name: 'one agent' })
    await Promise.all(Array.from({ length: 5 }, () => post('order-6', { name: 'another' })))
    assert.equal(await agents(), before + 1)
  })

  test('a refused call does not use up its key', async () => {
    assert.equal((await post('order-4', { name: '' })).status, 422)
    assert.equal((await post('order-4', { name: 'fine' })).status, 201)
  })

  for (const key of ['', 'two words', 'é', 'x'.repeat(256)]) {
    test(`422 for an invalid Idempotency-Key: ${JSON.stringify(key.slice(0, 12))}`, async () => {
      const before = await rows()
      assert.equal((await post(key, { name: 'a' })).status, 422)
      assert.equal(await rows(), before)
    })
  }
})

describe('GET /api-keys', () => {
  test('200 with all of them, newest first, each as GET /api-keys/{id} returns it', async () => {
    const made = await create({ name: 'newest' })
    const list = await admin('GET', keys)
    assert.equal(list.status, 200)
    assert.equal(list.body[0].id, made.id)
    assert.equal(list.body.length, await rows())
    const ids = list.body.map((key: { id: string }) => key.id)
    assert.deepEqual(ids, [...ids].sort().reverse())
    assert.deepEqual((await admin('GET', `${keys}/${made.id}`)).body, list.body[0])
    const { key, ...shown } = made
    assert.deepEqual(list.body[0], shown)
  })
})

describe('GET and PATCH /api-keys/{id}', () => {
  test('404 "API key not found" for an unknown id and for one of another organization, in the same words', async () => {
    const other = randomUUID()
    const foreign = randomUUID()
    await t.sql(`insert into organizations (organization_id, name) values ($1, 'Other')`, [other])
    await t.sql(
      `with agent as (
         insert into agents (organization_id, id, name, created_at, updated_at) values ($1, $2, 'theirs', now(), now()))
       insert into api_keys (organization_id, id, agent_id, name, key_hash, expires_at, created_at, updated_at)
       values ($1, $2, $2, 'theirs', sha256('x'), now() + interval '1 year', now(), now())`,
      [other, foreign],
    )
    const before = await t.sql('select * from api_keys where id = $1', [foreign])
    for (const method of ['GET', 'PATCH']) {
      const bodies = []
      for (const id of [randomUUID(), foreign]) {
        const reply = await admin(method, `${keys}/${id}`, method === 'PATCH' ? { body: { name: 'mine now' } } : {})
        assert.equal(reply.status, 404)
        assert.equal(reply.body.detail, 'API key not found')
        bodies.push(JSON.stringify({ ...reply.body, request_id: '' }))
      }
      assert.equal(bodies[0], bodies[1])
    }
    assert.deepEqual(await t.sql('select * from api_keys where id = $1', [foreign]), before)
    assert.doesNotMatch((await admin('GET', keys)).text, new RegExp(foreign))
    assert.deepEqual((await admin('GET', `${keys}?agent_id=${foreign}`)).body, [])
    const rotation = await admin('POST', `${keys}/${foreign}/rotate`, { body: {} })
    assert.deepEqual([rotation.status, rotation.body.detail], [404, 'API key not found'])
    const made = await admin('POST', keys, { body: { name: 'mine', agent_id: foreign } })
    assert.deepEqual([made.status, made.body.errors[0].path], [422, 'agent_id'])
  })

  for (const id of ['1', 'not-a-uuid', `${randomUUID()}0`, 'x'.repeat(3_000), '%F0%9F%98%80', 'null']) {
    test(`422 for an id that is not a UUID: ${id.slice(0, 20)}`, async () => {
      for (const method of ['GET', 'PATCH']) {
        const reply = await admin(method, `${keys}/${id}`, method === 'PATCH' ? { body: { name: 'x' } } : {})
        assert.equal(reply.status, 422, reply.text)
        assert.equal(reply.body.errors[0].path, 'id')
      }
    })
  }

  test('PATCH changes only the given fields', async () => {
    const made = await create({ name: 'before', description: 'old' })
    const path = `${keys}/${made.id}`
    t.clock.advance(1_000)
    const renamed = await admin('PATCH', path, { body: { name: 'after' } })
    const { key, ...shown } = made
    assert.deepEqual(renamed.body, { ...shown, name: 'after', updated_at: t.clock.now().toISOString() })
    const cleared = await admin('PATCH', path, { body: { description: null } })
    assert.equal(cleared.body.description, null)
    assert.ok(cleared.body.updated_at > renamed.body.updated_at, 'in the same millisecond too')
    const same = await admin('PATCH', path, { body: { name: 'after', description: null, is_active: true } })
    assert.deepEqual(same.body, cleared.body, 'nothing to change, nothing changed')
    assert.deepEqual((await admin('GET', path)).body, cleared.body)
  })

  test('PATCH changes the rights and expiry of a key, within the same limits', async () => {
    const made = await create()
    const body = { scopes: ['requests:read'], expires_at: inDays(20), allowed_networks: ['10.0.0.0/8'] }
    const changed = await admin('PATCH', `${keys}/${made.id}`, { body })
    const { key, ...shown } = made
    const { updated_at } = changed.body
    assert.deepEqual(changed.body, { ...shown, ...body, expires_soon: true, updated_at })
    assert.deepEqual((await admin('GET', `${keys}/${made.id}`)).body, changed.body)
  })

  test('null for a list is as if it were left out', async () => {
    const nothing = { scopes: null, allowed_networks: null }
    const { scopes, allowed_networks: networks } = (await admin('POST', keys, { body: { name: 'a', ...nothing } })).body
    assert.deepEqual([scopes, networks], [(await create()).scopes, []])
    const terms = { scopes: ['requests:read'], allowed_networks: ['10.0.0.0/8'] }
    const { id } = (await admin('POST', keys, { body: { name: 'b', ...terms } })).body
    const changed = (await admin('PATCH', `${keys}/${id}`, { body: { name: 'c', ...nothing } })).body
    assert.deepEqual(
      { name: changed.name, scopes: changed.scopes, allowed_networks: changed.allowed_networks },
      { name: 'c', ...terms },
    )
  })

  test('PATCH records who revoked the key and when, and clears both on restoring it', async () => {
    const made = await create()
    const revoked = await admin('PATCH', `${keys}/${made.id}`, { body: { is_active: false } })
    assert.deepEqual([revoked.body.revoked_at, revoked.body.revoked_by], [t.clock.now().toISOString(), t.admin.id])
    const restored = await admin('PATCH', `${keys}/${made.id}`, { body: { is_active: true } })
    assert.deepEqual([restored.body.revoked_at, restored.body.revoked_by], [null, null])
  })

  for (const body of [
    { name: '' },
    { name: null },
    { is_active: 'false' },
    { is_active: null },
    { is_active: 0 },
    { scopes: [] },
    { expires_at: null },
    { expires_at: '2020-01-01T00:00:00Z' },
    { allowed_networks: ['everywhere'] },
    [],
    'x',
  ]) {
    test(`422, and nothing changed: PATCH ${JSON.stringify(body)}`, async () => {
      const made = await create()
      const reply = await admin('PATCH', `${keys}/${made.id}`, { body })
      assert.equal(reply.status, 422, reply.text)
      const { key, ...shown } = made
      assert.deepEqual((await admin('GET', `${keys}/${made.id}`)).body, shown)
    })
  }
})

describe('who may manage keys', () => {
  for (const [method, path, body] of [
    ['POST', keys, { name: 'x' }],
    ['GET', keys, undefined],
    ['GET', `${keys}/${randomUUID()}`, undefined],
    ['PATCH', `${keys}/${randomUUID()}`, { is_active: false }],
    ['POST', `${keys}/${randomUUID()}/rotate`, {}],
  ] as const) {
    test(`${method} ${path.slice(0, 25)}: 401 without a credential, 403 for reviewers and agents`, async () => {
      const before = await rows()
      const send = (as?: string) =>
        t.call(method, path, { ...(as === undefined ? {} : { as }), ...(body === undefined ? {} : { body }) })
      const nobody = await send()
      assert.equal(nobody.status, 401)
      assert.match(String(nobody.headers['www-authenticate']), /^Bearer/)
      for (const as of [t.reviewer.token, t.apiKey]) {
        const reply = await send(as)
        assert.equal(reply.status, 403)
        assert.equal(reply.body.code, 'auth.forbidden')
        assert.match(reply.body.detail, /administrator/)
      }
      assert.equal(await rows(), before)
    })
  }

  test('403 for an agent at GET /auth/me, which is for people', async () => {
    const reply = await t.call('GET', '/api/v1/auth/me', { as: t.apiKey })
    assert.equal(reply.status, 403)
    assert.match(reply.body.detail, /person/)
  })
})

test('422 for a change without a known field, so that a misspelt revocation does not look successful', async () => {
  const t = await startTestApp()
  try {
    const made = await t.call('POST', '/api/v1/api-keys', { as: t.admin.token, body: { name: 'bot' } })
    const path = `/api/v1/api-keys/${made.body.id}`
    const reply = await t.call('PATCH', path, { as: t.admin.token, body: { revoked: true } })
    assert.equal(reply.status, 422)
    assert.match(reply.body.detail, /^revoked is not known here/)
    assert.equal((await t.call('PATCH', path, { as: t.admin.token, body: {} })).status, 200)
  } finally {
    await t.stop()
  }
})
