import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createPasswords } from '../../../src/identity/accounts/passwords.ts'
import { installationId } from '../../../src/platform/ids.ts'
import { eventually } from '../../eventually.ts'
import { startTestApp, type TestApp } from '../../harness.ts'
import { addApiKey } from '../../people-and-keys.ts'
import { addCompany, alsoIn, type Company, signedIn, told } from './tenancy.ts'

const day = 86_400_000
const minute = 60_000
const own = '/api/v1/organization'
const passwords = createPasswords({ cost: 4 })

let t: TestApp
before(async () => {
  t = await startTestApp({ passwords, environment: { RATE_LIMIT_PERSON: 'off', RATE_LIMIT_ADDRESS: 'off' } })
})
after(() => t.stop())

const remove = async ({ owner, name }: Company, as?: string) =>
  t.call('POST', `${own}/delete`, { as: as ?? (await signedIn(t, owner)), body: { name } })
const restore = async ({ owner }: Company) => t.call('POST', `${own}/restore`, { as: await signedIn(t, owner) })
const me = async (as: string) => (await t.call('GET', '/api/v1/auth/me', { as })).status
const hold = async ({ owner }: Company, legal_hold: boolean) => {
  const body = { legal_hold, reason: 'Case 7' }
  const reply = await t.call('PATCH', '/api/v1/events/policy', { as: await signedIn(t, owner), body })
  assert.equal(reply.status, 200, reply.text)
}
const stateOf = async (organizationId: string) => {
  const [row] = await t.sql('select * from organizations where organization_id = $1', [organizationId])
  return row ?? assert.fail('the row is gone')
}
/** The number of rows of the organization in each table that has any. */
const rowsLeft = async (organizationId: string): Promise<Readonly<Record<string, number>>> => {
  const tables = await t.sql(
    `select table_name from information_schema.columns where column_name = 'organization_id' and table_schema = 'public'`,
  )
  const counts: [string, number][] = []
  for (const { table_name: table } of tables) {
    const [row] = await t.sql(`select count(*)::int as n from ${table} where organization_id = $1`, [organizationId])
    if (Number(row?.n) > 0) counts.push([String(table), Number(row?.n)])
  }
  return Object.fromEntries(counts)
}

describe('requesting the deletion of an organization', () => {
  test('202 with the day; from then on only the owner gets in, and no agents', async () => {
    const company = await addCompany(t)
    const { owner, admin, reviewer, auditor, organizationId } = company
    const key = await addApiKey(t, organizationId)
    const agent = () => t.call('GET', '/api/v1/requests', { as: key.raw })
    for (const { token } of [admin, reviewer, auditor]) assert.equal(await me(token), 200)
    assert.equal((await agent()).status, 200)
    const reply = await remove(company)
    assert.equal(reply.status, 202, reply.text)
    assert.equal(reply.body.delete_after, new Date(t.clock.now().getTime() + 30 * day).toISOString())
    for (const { token } of [admin, reviewer, auditor]) assert.equal(await me(token), 401)
    assert.equal((await agent()).status, 401)
    assert.equal(await me(owner.token), 200)
    const [asked] = await told(t, organizationId, 'organization.deletion_requested')
    assert.deepEqual([asked?.actor.id, asked?.before.delete_after], [owner.id, null])
    assert.match(asked?.digest ?? '', /^[0-9a-f]{64}$/)
    const ended = await told(t, organizationId, 'session.ended')
    assert.equal(ended.length, 3)
    assert.ok(ended.every(({ actor }) => actor.id === owner.id))
  })

  test('requesting it again changes nothing and has no event', async () => {
    const company = await addCompany(t)
    const first = await remove(company)
    t.clock.advance(day)
    const again = await remove(company)
    assert.deepEqual([again.status, again.body.delete_after], [202, first.body.delete_after])
    assert.equal((await told(t, company.organizationId, 'organization.deletion_requested')).length, 1)
  })

  test('422 unless the name is spelled out; 403 for an admin; 409 under legal hold', async () => {
    const company = await addCompany(t)
    const wrong = await t.call('POST', `${own}/delete`, { as: await signedIn(t, company.owner), body: { name: 'x' } })
    assert.deepEqual([wrong.status, wrong.body.errors[0].path], [422, 'name'])
    assert.equal((await remove(company, await signedIn(t, company.admin))).body.code, 'auth.forbidden')
    await hold(company, true)
    const held = await remove(company)
    assert.deepEqual([held.status, held.body.code], [409, 'audit.legal_hold'])
    assert.equal((await stateOf(company.organizationId)).delete_after, null)
    assert.equal(await me(await signedIn(t, company.reviewer)), 200)
  })

  test('a former owner cannot delete it, even a moment after the transfer', async () => {
    const company = await addCompany(t)
    const { owner, admin, organizationId } = company
    const as = await signedIn(t, owner)
    const replies = await Promise.all([
      t.call('POST', `${own}/transfer`, { as, body: { user_id: admin.id } }),
      remove(company, as),
    ])
    const { delete_after: deleteAfter } = await stateOf(organizationId)
    // Whichever was first: the owner at that time requested the deletion, or it was refused.
    assert.equal(replies[0].status, 204)
    assert.equal(replies[1].status === 202, deleteAfter !== null)
    if (deleteAfter === null) assert.equal(replies[1].status, 403)
  })

  test('restoring lets everyone in again, after a new sign-in', async () => {
    const company = await addCompany(t)
    await remove(company)
    const reply = await restore(company)
    assert.deepEqual([reply.status, reply.body.delete_after], [200, null])
    assert.equal(await me(company.reviewer.token), 401)
    assert.equal(await me(await signedIn(t, company.reviewer)), 200)
    assert.equal((await restore(company)).status, 200)
    assert.equal((await told(t, company.organizationId, 'organization.restored')).length, 1)
  })

  test('an invitation to it does not work', async () => {
    const company = await addCompany(t)
    const as = await signedIn(t, company.admin)
    const invited = await t.call('POST', '/api/v1/invitations', { as, body: {} })
    await remove(company)
    const body = { email: 'late@example.com', password: 'correct horse', invitation: invited.body.token }
    const reply = await t.call('POST', '/api/v1/auth/register', { body })
    assert.deepEqual([reply.status, reply.body.code], [403, 'invitation.not_valid'])
  })
})

describe('signing in by its members', () => {
  test('leads to another organization if they have one, and otherwise to the usual 401', async () => {
    const [closing, open] = [await addCompany(t), await addCompany(t)]
    await t.sql('update accounts set password_hash = $1 where id = any ($2)', [
      await passwords.hash('correct horse'),
      [closing.reviewer.id, closing.auditor.id],
    ])
    const there = await alsoIn(t, closing.reviewer, open.organizationId, 'auditor')
    await t.sql('update accounts set last_organization_id = $1 where id = any ($2)', [
      closing.organizationId,
      [closing.reviewer.id, closing.auditor.id],
    ])
    const login = (id: string) =>
      t.call('POST', '/api/v1/auth/login', { body: { username: `${id}@example.com`, password: 'correct horse' } })
    assert.equal((await login(closing.reviewer.id)).body.user.id, closing.reviewer.id)
    await remove(closing)
    assert.equal((await login(closing.reviewer.id)).body.user.id, there.id)
    assert.equal((await login(closing.auditor.id)).status, 401)
    const listed = await t.call('GET', '/api/v1/organizations', { as: await signedIn(t, there) })
    assert.equal(listed.body.items.length, 1)
    const switched = await t.call('POST', '/api/v1/auth/switch', {
      as: await signedIn(t, there),
      body: { organization_id: closing.organizationId },
    })
    assert.equal(switched.status, 404)
  })
})

describe('after the grace period', () => {
  test('everything is deleted except the sealed audit, without its erasable parts, and the tombstone', async () => {
    const company = await addCompany(t)
    const neighbour = await addCompany(t)
    const { organizationId, reviewer } = company
    const key = await addApiKey(t, organizationId)
    const made = await t.call('POST', '/api/v1/requests', {
      as: key.raw,
      body: { title: 'Secret plan', context: {}, callback_webhook: 'http://127.0.0.1:9/', callback_secret: 's3cret' },
    })
    assert.equal(made.status, 201, made.text)
    const answer = { decision: 'approve', comment: 'as discussed' }
    await t.call('POST', `/api/v1/requests/${made.body.id}/respond`, { as: reviewer.token, body: answer })
    const team = await t.call('POST', '/api/v1/teams', { as: company.admin.token, body: { name: 'Team' } })
    await t.call('PUT', `/api/v1/teams/${team.body.id}/members/${reviewer.id}`, { as: company.admin.token, body: {} })
    const as = await signedIn(t, company.admin)
    const invited = await t.call('POST', '/api/v1/invitations', { as, body: { email: 'x@example.com' } })
    assert.equal(invited.status, 201, invited.text)
    const elsewhere = await alsoIn(t, reviewer, neighbour.organizationId)
    await remove(company)
    t.clock.advance(30 * day - 1)
    await t.app.identity.organizationDeletion.deleteDue()
    assert.equal((await stateOf(organizationId)).deleted_at, null, 'not a moment too soon')
    t.clock.advance(1)
    await t.app.drain()
    assert.equal((await rowsLeft(organizationId)).users, 4, 'calls that were under way may still write')
    t.clock.advance(20 * minute)
    await t.app.drain()

    const left = await rowsLeft(organizationId)
    assert.deepEqual(Object.keys(left).sort(), ['audit_seals', 'events', 'organizations'])
    const tomb = await stateOf(organizationId)
    assert.equal(tomb.name, 'Deleted')
    assert.deepEqual(
      [tomb.deleted_at, tomb.cleared_at].map((at) => at instanceof Date),
      [true, true],
    )
    const [erasable] = await t.sql(
      'select count(*)::int as n from events where organization_id = $1 and erasable is not null',
      [organizationId],
    )
    assert.equal(erasable?.n, 0)
    // Accounts without any organization are deleted; one that also belongs to another organization stays and works.
    const accounts = await t.sql('select id from accounts where id = any ($1)', [
      [company.owner.id, company.admin.id, reviewer.id, company.auditor.id],
    ])
    assert.deepEqual(
      accounts.map(({ id }) => id),
      [reviewer.id],
    )
    assert.equal(await me(await signedIn(t, elsewhere)), 200)
    assert.equal(await me(await signedIn(t, neighbour.reviewer)), 200)

    const members = await told(t, organizationId, 'user.deleted')
    assert.equal(members.length, 4)
    assert.ok(members.every(({ actor }) => actor.kind === 'timer'))
    assert.deepEqual(
      members.filter(({ after }) => !after.account_deleted).map(({ subject }) => subject.id),
      [reviewer.id],
    )
    for (const log of [organizationId, installationId]) {
      const ends = (await told(t, log, 'organization.deleted')).filter(({ subject }) => subject.id === organizationId)
      assert.equal(ends.length, 1, log)
    }
    // An open transaction anywhere on the server, such as one of another test, delays the seal of the newest events.
    await eventually('the last events are sealed too', async () => {
      await t.app.drain()
      const [found] = await t.sql(
        `select (select count(*) from events where organization_id = $1) as events,
           (select max(last_position) from audit_seals where organization_id = $1) as sealed`,
        [organizationId],
      )
      return Number(found?.sealed) === Number(found?.events)
    })
  })

  test('nothing that came in before leaves a row or a network behind, nor does what its agents and people still send', async () => {
    const company = await addCompany(t)
    const { organizationId, owner } = company
    const key = await addApiKey(t, organizationId)
    await remove(company)
    t.clock.advance(30 * day)
    // Refused, and written to the audit a second or more later.
    const as = await signedIn(t, owner)
    assert.equal((await t.call('POST', `${own}/delete`, { as, body: { name: company.name } })).status, 202)
    const refused = () => t.call('POST', '/api/v1/requests', { as, body: { title: 'May I?', context: {} } })
    assert.equal((await refused()).status, 403)
    await t.app.identity.organizationDeletion.deleteDue()
    await t.app.drain()
    // As a call does that was authenticated before, and whose body took half a minute.
    await t.sql(
      `insert into agents (organization_id, id, name, created_at, updated_at) values ($1, gen_random_uuid(), 'late', now(), now())`,
      [organizationId],
    )
    t.clock.advance(20 * minute)
    assert.equal((await t.call('GET', '/api/v1/requests', { as: key.raw })).body.code, 'auth.invalid')
    await t.app.drain()
    assert.equal((await t.call('GET', '/api/v1/requests', { as: key.raw })).body.code, 'auth.invalid')
    await t.app.drain()
    assert.deepEqual(Object.keys(await rowsLeft(organizationId)).sort(), ['audit_seals', 'events', 'organizations'])
    const networks = await t.sql('select record from events where organization_id = $1 and erasable is not null', [
      organizationId,
    ])
    assert.deepEqual(networks, [])
    const [forgotten] = await told(t, organizationId, 'access.refused')
    assert.equal(forgotten?.after.code, 'auth.forbidden', 'it was written, and then erased')
    assert.deepEqual(await told(t, organizationId, 'api_key.refused'), [])
  })

  test('it cannot be restored, and its owner cannot sign in', async () => {
    const company = await addCompany(t)
    await remove(company)
    t.clock.advance(30 * day)
    const as = await signedIn(t, company.owner)
    assert.equal(await me(as), 200)
    await t.app.identity.organizationDeletion.deleteDue()
    // The deletion has begun but not finished: there are still members.
    assert.notEqual((await stateOf(company.organizationId)).deleted_at, null)
    assert.equal(await me(as), 401)
    t.clock.advance(20 * minute)
    await t.app.drain()
    assert.equal(await me(as), 401)
  })

  test('a legal hold set meanwhile keeps it, and only it; when the hold ends, it is deleted', async () => {
    const [held, free] = [await addCompany(t), await addCompany(t)]
    await remove(held)
    await hold(held, true)
    await remove(free)
    t.clock.advance(30 * day)
    await t.app.drain()
    t.clock.advance(20 * minute)
    await t.app.drain()
    assert.equal((await stateOf(held.organizationId)).deleted_at, null)
    assert.equal((await rowsLeft(held.organizationId)).users, 4)
    assert.notEqual((await stateOf(free.organizationId)).cleared_at, null)
    await hold(held, false)
    await t.app.drain()
    t.clock.advance(20 * minute)
    await t.app.drain()
    assert.notEqual((await stateOf(held.organizationId)).cleared_at, null)
  })

  test('several processes delete it once', async () => {
    const company = await addCompany(t)
    await remove(company)
    t.clock.advance(30 * day)
    const { deleteDue } = t.app.identity.organizationDeletion
    const drain = async () => {
      while (await deleteDue()) {}
    }
    await Promise.all([drain(), drain(), drain()])
    t.clock.advance(20 * minute)
    await Promise.all([drain(), drain(), drain()])
    await drain()
    assert.notEqual((await stateOf(company.organizationId)).cleared_at, null)
    for (const kind of ['organization.deletion_begun', 'organization.deleted']) {
      assert.equal((await told(t, company.organizationId, kind)).length, 1, kind)
    }
    assert.equal((await told(t, company.organizationId, 'user.deleted')).length, 4)
  })
})

test('open registration and the set-up link never lead into an organization that somebody else created', async () => {
  const one = await startTestApp({ passwords, environment: { REGISTRATION: 'open' } })
  try {
    const before = one.organizationId
    const company = await addCompany(one)
    await one.sql(`update users set role = 'owner' where id = $1`, [one.admin.id])
    const [row] = await one.sql('select name from organizations where organization_id = $1', [before])
    const asked = await one.call('POST', `${own}/delete`, { as: one.admin.token, body: { name: row?.name } })
    assert.equal(asked.status, 202, asked.text)
    const register = (email: string) =>
      one.call('POST', '/api/v1/auth/register', { body: { email, password: 'correct horse' } })
    const refused = await register('early@example.com')
    assert.deepEqual([refused.status, refused.body.code], [403, 'organization.closing'])
    one.clock.advance(30 * day)
    await one.app.drain()
    one.clock.advance(20 * minute)
    await one.app.drain()
    assert.equal((await register('late@example.com')).status, 201)
    const [late] = await one.sql(`select organization_id from users where email_key = 'late@example.com'`)
    assert.notEqual(late?.organization_id, company.organizationId)
    assert.notEqual(late?.organization_id, before)
    assert.notEqual(await one.app.identity.people.setupToken(), null, 'the new one has no administrator yet')
  } finally {
    await one.stop()
  }
})
