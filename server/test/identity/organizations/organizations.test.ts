import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { startTestApp, type TestApp } from '../../harness.ts'
import { addPerson } from '../../people-and-keys.ts'
import { addCompany, alsoIn, signedIn, told } from './tenancy.ts'

let t: TestApp
before(async () => {
  t = await startTestApp({ environment: { RATE_LIMIT_PERSON: 'off', RATE_LIMIT_ADDRESS: 'off' } })
})
after(() => t.stop())

const path = '/api/v1/organizations'
const own = '/api/v1/organization'
const count = async (): Promise<number> => (await t.sql('select from organizations')).length

describe('POST /organizations', () => {
  const create = (as: string, name: unknown, key?: string) =>
    t.call('POST', path, { as, body: { name }, ...(key === undefined ? {} : { headers: { 'idempotency-key': key } }) })

  test('201: its creator is the owner, sees it in the list and can switch to it', async () => {
    const { admin } = await addCompany(t)
    // The rows of the fixtures have the database's time, which is ahead of this stopped clock.
    t.clock.advance(60_000)
    const reply = await create(admin.token, 'New Inc.')
    assert.equal(reply.status, 201, reply.text)
    const now = t.clock.now().toISOString()
    const { id, ...rest } = reply.body
    assert.deepEqual(rest, {
      name: 'New Inc.',
      require_step_up: false,
      delete_after: null,
      created_at: now,
      updated_at: now,
    })
    const listed = (await t.call('GET', path, { as: admin.token })).body.items
    assert.deepEqual(
      listed.map((one: { organization: { id: string }; role: string; is_current: boolean }) => [
        one.organization.id,
        one.role,
        one.is_current,
      ]),
      [
        [admin.organizationId, 'admin', true],
        [id, 'owner', false],
      ],
    )
    const switched = await t.call('POST', '/api/v1/auth/switch', { as: admin.token, body: { organization_id: id } })
    assert.equal(switched.body.user.role, 'owner')
    assert.equal((await t.call('GET', own, { as: switched.body.access_token })).body.id, id)
  })

  test('is an event of the new organization by its new member; the name can be erased', async () => {
    const { admin, organizationId } = await addCompany(t)
    const { id } = (await create(admin.token, 'Told Inc.')).body
    const [made] = await told(t, id, 'organization.created')
    const [joined] = await told(t, id, 'user.joined')
    assert.deepEqual(made?.after, { require_step_up: false, delete_after: null })
    assert.equal(made?.erasable?.name, 'Told Inc.')
    assert.deepEqual(joined?.after, { role: 'owner', is_active: true })
    assert.deepEqual(
      [made?.actor.id, joined?.actor.id, joined?.subject.id],
      [joined?.subject.id, joined?.subject.id, joined?.subject.id],
    )
    assert.deepEqual(await told(t, organizationId, 'organization.created'), [], 'it is no business of the other one')
  })

  test('the same Idempotency-Key and body create one organization, even at once; 422 for another body', async () => {
    const { admin } = await addCompany(t)
    const before = await count()
    const replies = await Promise.all(Array.from({ length: 5 }, () => create(admin.token, 'Once Inc.', 'key-1')))
    for (const reply of replies) assert.equal(reply.status, 201, reply.text)
    assert.equal(new Set(replies.map((reply) => reply.text)).size, 1)
    assert.equal(replies.filter((reply) => reply.headers['idempotency-replayed'] === 'true').length, 4)
    assert.equal(await count(), before + 1)
    const other = await create(admin.token, 'Another Inc.', 'key-1')
    assert.deepEqual([other.status, other.body.code], [422, 'idempotency.body_differs'])
    const somebodyElses = await create((await addCompany(t)).admin.token, 'Once Inc.', 'key-1')
    assert.equal(somebodyElses.headers['idempotency-replayed'], undefined)
    assert.notEqual(somebodyElses.body.id, replies[0]?.body.id)
  })

  test('409 organization.too_many for the 51st that one account would own, and it is not created', async () => {
    const { admin } = await addCompany(t)
    for (let made = 0; made < 50; made += 1) assert.equal((await create(admin.token, `Number ${made}`)).status, 201)
    const before = await count()
    const reply = await create(admin.token, 'One more')
    assert.deepEqual([reply.status, reply.body.code], [409, 'organization.too_many'])
    assert.equal(await count(), before)
  })

  for (const name of ['', '   ', 'x'.repeat(256), 'nul \0', null, 7]) {
    test(`422 for the name ${JSON.stringify(name)?.slice(0, 20)}`, async () => {
      assert.equal((await create(t.admin.token, name)).status, 422)
    })
  }

  test("the owner's address there is that of the account, not of the current membership", async () => {
    const { admin } = await addCompany(t)
    await t.sql(`update users set email = 'ceo@example.com', email_key = 'ceo@example.com' where id = $1`, [admin.id])
    const { id } = (await create(admin.token, 'Honest Inc.')).body
    const [row] = await t.sql('select email from users where organization_id = $1', [id])
    assert.equal(row?.email, `${admin.id}@example.com`)
  })
})

describe('a person who signed in through an identity provider', () => {
  test('cannot create, join or see another organization', async () => {
    const { admin } = await addCompany(t)
    const other = await addCompany(t)
    await alsoIn(t, admin, other.organizationId)
    const as = await signedIn(t, admin, ['oidc'])
    for (const [method, where, body] of [
      ['POST', path, { name: 'Mine' }],
      ['POST', '/api/v1/invitations/accept', { token: 'x' }],
      ['POST', '/api/v1/auth/switch', { organization_id: other.organizationId }],
      ['POST', '/api/v1/auth/switch', { organization_id: randomUUID() }],
    ] as const) {
      const reply = await t.call(method, where, { as, body })
      assert.deepEqual([reply.status, reply.body.code], [403, 'sso.other_organization'], `${where}: ${reply.text}`)
    }
    const organizations = (await t.call('GET', path, { as })).body.items
    assert.deepEqual(
      organizations.map((one: { organization: { id: string } }) => one.organization.id),
      [admin.organizationId],
    )
    const sessions = (await t.call('GET', '/api/v1/auth/sessions', { as })).body.items
    assert.ok(sessions.every((one: { organization_id: string }) => one.organization_id === admin.organizationId))
    const [elsewhere] = await t.sql('select id from sessions where organization_id = $1 and account_id = $2', [
      other.organizationId,
      admin.id,
    ])
    assert.equal((await t.call('POST', `/api/v1/auth/sessions/${elsewhere?.id}/revoke`, { as })).status, 404)
    await t.call('POST', '/api/v1/auth/sessions/revoke-others', { as })
    const [still] = await t.sql('select revoked_at from sessions where id = $1', [elsewhere?.id])
    assert.equal(still?.revoked_at, null)
  })
})

describe('PATCH /organization', () => {
  test('renames and demands step-ups; the event has before, after, digest and step-up, and the names can be erased', async () => {
    const { admin, organizationId, name } = await addCompany(t)
    const reply = await t.call('PATCH', own, { as: admin.token, body: { name: 'Renamed', require_step_up: true } })
    assert.equal(reply.status, 200, reply.text)
    assert.deepEqual([reply.body.name, reply.body.require_step_up], ['Renamed', true])
    assert.ok(reply.body.updated_at > reply.body.created_at)
    const [event] = await told(t, organizationId, 'organization.changed')
    assert.deepEqual(event?.before, { require_step_up: false, delete_after: null })
    const { assurance, ...rest } = event?.after ?? {}
    assert.deepEqual([rest, assurance.method], [{ require_step_up: true, delete_after: null }, 'sign_in'])
    assert.match(event?.digest ?? '', /^[0-9a-f]{64}$/)
    assert.deepEqual([event?.erasable?.name_before, event?.erasable?.name_after], [name, 'Renamed'])
  })

  test('setting the current values has no event; 422 for an empty change', async () => {
    const { admin, organizationId, name } = await addCompany(t)
    const same = await t.call('PATCH', own, { as: admin.token, body: { name, require_step_up: false } })
    assert.equal(same.status, 200)
    assert.deepEqual(await told(t, organizationId, 'organization.changed'), [])
    for (const body of [{}, { colour: 'red' }]) {
      assert.equal((await t.call('PATCH', own, { as: admin.token, body })).status, 422)
    }
  })
})

describe('POST /organization/transfer', () => {
  const transfer = (as: string, userId: string) => t.call('POST', `${own}/transfer`, { as, body: { user_id: userId } })
  const owners = async (organizationId: string) =>
    (await t.sql(`select id from users where organization_id = $1 and role = 'owner'`, [organizationId])).map(
      (row) => row.id,
    )

  test('204: the other person is the owner at once, the former owner an admin, with an event for each', async () => {
    const { owner, reviewer, organizationId } = await addCompany(t)
    assert.equal((await t.call('GET', '/api/v1/auth/me', { as: reviewer.token })).body.role, 'reviewer')
    assert.equal((await transfer(owner.token, reviewer.id.toUpperCase())).status, 204)
    assert.deepEqual(await owners(organizationId), [reviewer.id])
    assert.equal((await t.call('GET', '/api/v1/auth/me', { as: owner.token })).body.role, 'admin')
    assert.equal((await t.call('GET', '/api/v1/auth/me', { as: reviewer.token })).body.role, 'owner')
    const [event] = await told(t, organizationId, 'organization.transferred')
    assert.deepEqual([event?.before.owner_id, event?.after.owner_id], [owner.id, reviewer.id])
    const changes = await told(t, organizationId, 'user.changed')
    assert.deepEqual(
      changes.map(({ subject, before, after, digest }) => [subject.id, before.role, after.role, digest === null]),
      [
        [owner.id, 'owner', 'admin', false],
        [reviewer.id, 'reviewer', 'owner', false],
      ],
    )
  })

  test('of two at once one succeeds: there is always one owner', async () => {
    for (let round = 0; round < 10; round += 1) {
      const { owner, admin, reviewer, organizationId } = await addCompany(t)
      const replies = await Promise.all([transfer(owner.token, admin.id), transfer(owner.token, reviewer.id)])
      assert.deepEqual(replies.map((reply) => reply.status).sort(), [204, 403], replies.map((r) => r.text).join())
      const loser = replies.find((reply) => reply.status === 403)
      assert.equal(loser?.body.code, 'organization.not_owner')
      const winner = replies[0]?.status === 204 ? admin.id : reviewer.id
      assert.deepEqual(await owners(organizationId), [winner])
    }
  })

  test('an admin claims an organization that has no owner, once', async () => {
    const { admin, organizationId, owner } = await addCompany(t)
    await t.sql(`update users set role = 'reviewer' where id = $1`, [owner.id])
    const second = await addPerson(t, organizationId, 'admin')
    const replies = await Promise.all([transfer(admin.token, admin.id), transfer(second.token, second.id)])
    assert.deepEqual(replies.map((reply) => reply.status).sort(), [204, 403])
    assert.equal((await owners(organizationId)).length, 1)
  })

  test('an admin is refused without learning which members exist', async () => {
    const { admin, auditor } = await addCompany(t)
    for (const id of [auditor.id, randomUUID(), t.reviewer.id]) {
      const reply = await transfer(admin.token, id)
      assert.deepEqual([reply.status, reply.body.code], [403, 'organization.not_owner'])
    }
  })

  test('404 for an unknown person or one of another organization; 409 for oneself or a deactivated member', async () => {
    const { owner, auditor, organizationId } = await addCompany(t)
    assert.equal((await transfer(owner.token, randomUUID())).status, 404)
    assert.equal((await transfer(owner.token, t.reviewer.id)).status, 404)
    assert.equal((await transfer(owner.token, owner.id)).body.code, 'user.is_owner')
    await t.sql('update users set is_active = false where id = $1', [auditor.id])
    assert.equal((await transfer(owner.token, auditor.id)).body.code, 'user.inactive')
    assert.deepEqual(await owners(organizationId), [owner.id])
    assert.deepEqual(await told(t, organizationId, 'organization.transferred'), [])
  })

  test('403 auth.step_up_required if the sign-in is not fresh', async () => {
    const { owner, admin, organizationId } = await addCompany(t)
    await t.sql(`update sessions set signed_in_at = now() - interval '1 day' where user_id = $1`, [owner.id])
    assert.equal((await transfer(owner.token, admin.id)).body.code, 'auth.step_up_required')
    assert.deepEqual(await owners(organizationId), [owner.id])
  })
})
