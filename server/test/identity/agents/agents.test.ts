import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { type CallOptions, startTestApp, type TestApp } from '../../harness.ts'
import { addOrganization, addPerson } from '../../people-and-keys.ts'
import { recordedEvents } from '../../recorded-events.ts'

const agents = '/api/v1/agents'
let t: TestApp
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())

const admin = (method: string, path: string, options: CallOptions = {}) =>
  t.call(method, path, { as: t.admin.token, ...options })
const register = async (body: Readonly<Record<string, unknown>> = { name: 'deploy-bot' }) => {
  const reply = await admin('POST', agents, { body })
  assert.equal(reply.status, 201, reply.text)
  return reply.body
}
const rows = async (): Promise<number> =>
  (await t.sql('select from agents where organization_id = $1', [t.organizationId])).length
const eventsOf = async (id: string) =>
  (await recordedEvents(t.sql, { subject: id })).map(({ kind, actor, before, after, erasable }) => {
    const { network: _, ...words } = erasable
    return { kind, actor_id: actor.id, before, after, erasable: words }
  })

describe('POST /agents', () => {
  test('201 with an active agent that the caller is responsible for; one event', async () => {
    const reply = await admin('POST', agents, { body: { name: 'deploy-bot', description: 'asks first' } })
    assert.equal(reply.status, 201, reply.text)
    const { id, ...rest } = reply.body
    const now = t.clock.now().toISOString()
    assert.deepEqual(rest, {
      name: 'deploy-bot',
      description: 'asks first',
      owner_id: t.admin.id,
      status: 'active',
      paused_at: null,
      paused_by: null,
      pause_reason: null,
      pause_acknowledged_at: null,
      organization_status: 'active',
      last_used_at: null,
      created_at: now,
      updated_at: now,
    })
    assert.equal(reply.headers.location, `${agents}/${id}`)
    assert.deepEqual((await admin('GET', `${agents}/${id}`)).body, reply.body)
    assert.deepEqual(await eventsOf(id), [
      {
        kind: 'agent.created',
        actor_id: t.admin.id,
        before: null,
        after: { owner_id: t.admin.id, status: 'active', paused_at: null },
        erasable: { name: 'deploy-bot', description: 'asks first' },
      },
    ])
  })

  test('another active member can be responsible for it', async () => {
    const owner = await addPerson(t)
    assert.equal((await register({ name: 'theirs', owner_id: owner.id.toUpperCase() })).owner_id, owner.id)
    const foreign = await addOrganization(t)
    await t.sql('update users set is_active = false where id = $1', [owner.id])
    for (const id of [owner.id, foreign.admin.id, randomUUID()]) {
      const reply = await admin('POST', agents, { body: { name: 'x', owner_id: id } })
      assert.deepEqual([reply.status, reply.body.errors[0].path], [422, 'owner_id'])
    }
  })

  test('the same Idempotency-Key registers one; 422 with another body', async () => {
    const before = await rows()
    const post = (name: string) => admin('POST', agents, { body: { name }, headers: { 'idempotency-key': 'one' } })
    const replies = await Promise.all(Array.from({ length: 5 }, () => post('once')))
    assert.deepEqual(
      replies.map(({ status }) => status),
      Array(5).fill(201),
    )
    assert.equal(new Set(replies.map(({ text }) => text)).size, 1)
    assert.equal(replies.filter(({ headers }) => headers['idempotency-replayed'] === undefined).length, 1)
    assert.equal((await post('twice')).body.code, 'idempotency.body_differs')
    assert.equal(await rows(), before + 1)
  })

  for (const [path, body] of [
    ['name', {}],
    ['name', { name: '' }],
    ['name', { name: 'x'.repeat(256) }],
    ['name', { name: null }],
    ['description', { name: 'a', description: 'x'.repeat(513) }],
    ['owner_id', { name: 'a', owner_id: 'me' }],
    ['owner_id', { name: 'a', owner_id: null }],
  ] as const) {
    test(`422 naming ${path}: ${JSON.stringify(body).slice(0, 50)}`, async () => {
      const before = await rows()
      const reply = await admin('POST', agents, { body })
      assert.equal(reply.status, 422)
      assert.ok(reply.body.errors.some((error: { path: string }) => error.path === path))
      assert.equal(await rows(), before)
    })
  }
})

describe('GET /agents', () => {
  test('lists all of them, newest first, by cursor and by status', async () => {
    for (let made = 0; made < 5; made += 1) await register()
    const all: string[] = []
    let cursor: string | null = null
    do {
      const query = `?limit=3${cursor === null ? '' : `&cursor=${cursor}`}`
      const page = await admin('GET', `${agents}${query}`)
      assert.equal(page.status, 200)
      all.push(...page.body.items.map(({ id }: { id: string }) => id))
      cursor = page.body.next_cursor
    } while (cursor !== null)
    assert.deepEqual(all, [...all].sort().reverse())
    assert.equal(new Set(all).size, await rows())
    const { id } = await register()
    await admin('POST', `${agents}/${id}/stop`, { body: { reason: 'x' } })
    const stopped = await admin('GET', `${agents}?status=stopped`)
    assert.deepEqual(
      stopped.body.items.map((agent: { id: string }) => agent.id),
      [id],
    )
  })

  for (const query of ['?limit=0', '?limit=101', '?limit=x', '?cursor=x', '?status=gone']) {
    test(`422: ${query}`, async () => {
      assert.equal((await admin('GET', `${agents}${query}`)).status, 422)
    })
  }

  test('has the time when any of its keys was last used', async (context) => {
    const { body: made } = await admin('POST', '/api/v1/api-keys', { body: { name: 'busy' } })
    await t.call('GET', '/api/v1/requests', { as: made.key })
    const now = t.clock.now().toISOString()
    const used = async () => (await admin('GET', `${agents}/${made.agent_id}`)).body.last_used_at
    await context.waitFor(async () => assert.equal(await used(), now), { timeout: 5_000 })
  })
})

describe('PATCH /agents/{id}', () => {
  test('changes only the given fields, with one event, and no event if nothing changes', async () => {
    const made = await register({ name: 'before', description: 'old' })
    t.clock.advance(1_000)
    const path = `${agents}/${made.id}`
    const owner = await addPerson(t, t.organizationId, 'auditor')
    const changed = await admin('PATCH', path, { body: { name: 'after', owner_id: owner.id } })
    const updated_at = t.clock.now().toISOString()
    assert.deepEqual(changed.body, { ...made, name: 'after', owner_id: owner.id, updated_at })
    assert.deepEqual((await admin('PATCH', path, { body: { name: 'after' } })).body, changed.body)
    assert.equal((await admin('PATCH', path, { body: { description: null } })).body.description, null)
    const [, renamed, cleared, ...more] = await eventsOf(made.id)
    assert.deepEqual(more, [])
    assert.deepEqual(renamed?.erasable, { name_before: 'before', name_after: 'after' })
    const shown = { status: 'active', paused_at: null }
    assert.deepEqual(renamed?.before, { ...shown, owner_id: t.admin.id })
    assert.deepEqual(renamed?.after, { ...shown, owner_id: owner.id })
    assert.deepEqual(cleared?.erasable, { description_before: 'old', description_after: null })
  })

  for (const body of [{ name: '' }, { name: null }, { owner_id: null }, { owner_id: randomUUID() }, [], 'x']) {
    test(`422, and nothing changed: ${JSON.stringify(body)}`, async () => {
      const made = await register()
      assert.equal((await admin('PATCH', `${agents}/${made.id}`, { body })).status, 422)
      assert.deepEqual((await admin('GET', `${agents}/${made.id}`)).body, made)
    })
  }
})

const acts: readonly (readonly [string, string, object | undefined])[] = [
  ['GET', '', undefined],
  ['PATCH', '', { name: 'mine now' }],
  ['POST', '/pause', { reason: 'x' }],
  ['POST', '/stop', { reason: 'x' }],
  ['POST', '/resume', {}],
]

describe('who may read and change agents', () => {
  test('read: every member; change and pause: owner and admin; agents and strangers: nothing', async () => {
    const { id } = await register()
    const people: [string, string][] = []
    for (const role of ['owner', 'admin', 'reviewer', 'auditor']) {
      people.push([role, (await addPerson(t, t.organizationId, role)).token])
    }
    const calls: readonly (readonly [string, string, object | undefined, boolean])[] = [
      ['GET', agents, undefined, true],
      ['GET', '/api/v1/organization/pause', undefined, true],
      ['POST', agents, { name: 'x' }, false],
      ...acts.map(([method, act, body]) => [method, `${agents}/${id}${act}`, body, method === 'GET'] as const),
      ['POST', '/api/v1/organization/pause', { reason: 'x' }, false],
      ['POST', '/api/v1/organization/stop', { reason: 'x' }, false],
      ['POST', '/api/v1/organization/resume', {}, false],
    ]
    for (const [method, path, body] of calls) {
      const options = body === undefined ? {} : { body }
      const agent = await t.call(method, path, { as: t.apiKey, ...options })
      assert.deepEqual([agent.status, agent.body.code], [403, 'auth.forbidden'], `an agent ${method} ${path}`)
      assert.equal((await t.call(method, path, options)).status, 401)
    }
    for (const [method, path, body, isRead] of calls) {
      const options = body === undefined ? {} : { body }
      for (const [role, as] of people) {
        const allowed = isRead || role === 'owner' || role === 'admin'
        const reply = await t.call(method, path, { as, ...options })
        assert.equal(reply.status < 300, allowed, `${role} ${method} ${path}: ${reply.text}`)
        if (!allowed) assert.deepEqual([reply.status, reply.body.code], [403, 'auth.forbidden'])
      }
    }
  })

  test('404, with the same bytes as for a missing one, for an agent of another organization, which is unchanged', async () => {
    const foreign = await addOrganization(t)
    const row = () => t.sql('select a::text from agents a where id = $1', [foreign.apiKey.agentId])
    const before = await row()
    for (const [method, act, body] of acts) {
      const texts = []
      for (const id of [foreign.apiKey.agentId, randomUUID()]) {
        const options = { headers: { 'x-request-id': 'the-same' }, ...(body === undefined ? {} : { body }) }
        const reply = await admin(method, `${agents}/${id}${act}`, options)
        assert.deepEqual([reply.status, reply.body.code], [404, 'agent.not_found'])
        texts.push(reply.text)
      }
      assert.equal(texts[0], texts[1])
    }
    assert.deepEqual(await row(), before)
    assert.doesNotMatch((await admin('GET', `${agents}?limit=100`)).text, new RegExp(foreign.apiKey.agentId))
  })

  test('422 for an id that is not a UUID', async () => {
    for (const [method, act, body] of acts) {
      const reply = await admin(method, `${agents}/me${act}`, body === undefined ? {} : { body })
      assert.deepEqual([reply.status, reply.body.errors[0].path], [422, 'id'], `${method} ${act}`)
    }
  })
})
