import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { startTestApp, type TestApp } from '../../harness.ts'
import { addPerson } from '../../people-and-keys.ts'
import { addCompany, signedIn, told } from '../organizations/tenancy.ts'
import { startOther, withinASecond } from '../two-processes.ts'

let t: TestApp
before(async () => {
  t = await startTestApp({ environment: { RATE_LIMIT_PERSON: 'off', RATE_LIMIT_ADDRESS: 'off' } })
})
after(() => t.stop())

const change = (as: string, id: string, body: unknown) => t.call('PATCH', `/api/v1/users/${id}`, { as, body })
const me = async (as: string) => (await t.call('GET', '/api/v1/auth/me', { as })).status

describe('GET /users', () => {
  test('lists all members by cursor, each once, and nobody else', async () => {
    const { organizationId, auditor } = await addCompany(t)
    for (let more = 0; more < 3; more += 1) await addPerson(t, organizationId)
    const seen: string[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const query = cursor === '' ? '' : `&cursor=${cursor}`
      const reply = await t.call('GET', `/api/v1/users?limit=2${query}`, { as: auditor.token })
      assert.equal(reply.status, 200, reply.text)
      seen.push(...reply.body.items.map((user: { id: string }) => user.id))
      cursor = reply.body.next_cursor
    }
    const rows = await t.sql('select id from users where organization_id = $1 order by id', [organizationId])
    assert.deepEqual(
      seen,
      rows.map(({ id }) => id),
    )
  })

  test('422 for an invalid cursor; 404 for a member of another organization', async () => {
    assert.equal((await t.call('GET', '/api/v1/users?cursor=x', { as: t.admin.token })).status, 422)
    const { reviewer } = await addCompany(t)
    assert.equal((await t.call('GET', `/api/v1/users/${reviewer.id}`, { as: t.admin.token })).status, 404)
    assert.equal((await change(t.admin.token, reviewer.id, { role: 'auditor' })).status, 404)
  })
})

describe('PATCH /users/{id}', () => {
  test('the new role takes effect at once, and the event has before, after, digest and step-up', async () => {
    const { admin, reviewer, organizationId } = await addCompany(t)
    assert.equal((await t.call('GET', '/api/v1/invitations', { as: reviewer.token })).status, 403)
    const reply = await change(admin.token, reviewer.id.toUpperCase(), { role: 'admin', name: 'Robin' })
    assert.equal(reply.status, 200, reply.text)
    assert.deepEqual([reply.body.role, reply.body.name], ['admin', 'Robin'])
    assert.equal((await t.call('GET', '/api/v1/invitations', { as: reviewer.token })).status, 200)
    const [event] = await told(t, organizationId, 'user.changed')
    assert.deepEqual(event?.before, { role: 'reviewer', is_active: true })
    assert.deepEqual([event?.after.role, event?.after.assurance.method], ['admin', 'sign_in'])
    assert.match(event?.digest ?? '', /^[0-9a-f]{64}$/)
    assert.deepEqual([event?.erasable?.name_before, event?.erasable?.name_after], [null, 'Robin'])
    assert.equal(JSON.stringify([event?.before, event?.after]).includes('Robin'), false)
  })

  test('setting the current values is neither a change nor an event', async () => {
    const { admin, reviewer, organizationId } = await addCompany(t)
    const before = (await t.call('GET', `/api/v1/users/${reviewer.id}`, { as: admin.token })).body
    assert.deepEqual((await change(admin.token, reviewer.id, { role: 'reviewer', is_active: true })).body, before)
    assert.deepEqual(await told(t, organizationId, 'user.changed'), [])
  })

  test('deactivation ends every session in the same commit, and takes effect in another process within a second', async (context) => {
    const { admin, reviewer, organizationId } = await addCompany(t)
    const second = await signedIn(t, reviewer)
    const other = await startOther(t)
    context.after(() => other.stop())
    const there = async (): Promise<number> =>
      (await other.http.inject({ url: '/api/v1/auth/me', headers: { authorization: `Bearer ${reviewer.token}` } }))
        .statusCode
    assert.equal(await there(), 200)
    assert.equal((await change(admin.token, reviewer.id, { is_active: false })).body.is_active, false)
    await withinASecond(context, there, 401, 'a deactivated person was still served')
    assert.deepEqual([await me(reviewer.token), await me(second)], [401, 401])
    const [sessions] = await t.sql(
      `select count(*)::int as ended, count(distinct xmin::text)::int as commits from sessions
         where user_id = $1 and revoked_because = 'deactivated'`,
      [reviewer.id],
    )
    assert.deepEqual(sessions, { ended: 2, commits: 1 })
    const [commits] = await t.sql(
      `select count(distinct xact)::int as n from events where organization_id = $1
         and kind in ('user.changed', 'session.ended')`,
      [organizationId],
    )
    assert.equal(commits?.n, 1)
  })

  test('after reactivation the person has to sign in: no old session comes back', async () => {
    const { admin, reviewer } = await addCompany(t)
    await change(admin.token, reviewer.id, { is_active: false })
    await change(admin.token, reviewer.id, { is_active: true })
    assert.equal(await me(reviewer.token), 401)
    assert.equal(await me(await signedIn(t, reviewer)), 200)
  })

  test('a sign-in that was under way leaves no session behind', async () => {
    const { admin, reviewer, organizationId } = await addCompany(t)
    const user = await t.app.identity.members.one(
      { kind: 'person', organizationId, userId: admin.id, accountId: admin.id, role: 'admin' },
      reviewer.id,
    )
    const visit = { httpRequestId: 'test', network: null, userAgent: null, browser: false }
    const [opened] = await Promise.allSettled([
      t.app.identity.sessions.begin(user, ['password'], visit, t.clock.now()),
      change(admin.token, reviewer.id, { is_active: false }),
    ])
    const live = await t.sql('select from sessions where user_id = $1 and revoked_at is null', [reviewer.id])
    assert.equal(live.length, 0, opened.status)
    const again = t.app.identity.sessions.begin(user, ['password'], visit, t.clock.now())
    await assert.rejects(again, { status: 403, code: 'organization.no_entry' })
  })

  test('of two admins who demote each other, one stays admin', async () => {
    for (let round = 0; round < 10; round += 1) {
      const { admin, owner, organizationId } = await addCompany(t)
      await t.sql(`update users set role = 'reviewer' where id = $1`, [owner.id])
      const second = await addPerson(t, organizationId, 'admin')
      const replies = await Promise.all([
        change(admin.token, second.id, { role: 'auditor' }),
        change(second.token, admin.id, { role: 'auditor' }),
      ])
      assert.deepEqual(replies.map((reply) => reply.status).sort(), [200, 403])
      const rows = await t.sql(`select id from users where organization_id = $1 and role = 'admin'`, [organizationId])
      assert.equal(rows.length, 1)
    }
  })

  for (const [what, who, whom, body, code] of [
    ['one’s own role', 'admin', 'admin', { role: 'reviewer' }, 'user.own'],
    ['one’s own deactivation', 'owner', 'owner', { is_active: false }, 'user.own'],
    ['the owner’s role', 'admin', 'owner', { role: 'admin' }, 'user.is_owner'],
    ['the owner’s name', 'admin', 'owner', { name: 'x' }, 'user.is_owner'],
    ['by a reviewer', 'reviewer', 'auditor', { role: 'admin' }, 'auth.forbidden'],
    ['by an auditor', 'auditor', 'reviewer', { is_active: false }, 'auth.forbidden'],
  ] as const) {
    test(`403 ${code}: ${what}`, async () => {
      const company = await addCompany(t)
      const reply = await change(company[who].token, company[whom].id, body)
      assert.deepEqual([reply.status, reply.body.code], [403, code], reply.text)
      assert.deepEqual(await told(t, company.organizationId, 'user.changed'), [])
    })
  }

  test('an admin can change their own name', async () => {
    const { admin } = await addCompany(t)
    assert.equal((await change(admin.token, admin.id, { name: 'Ada' })).body.name, 'Ada')
  })

  test('422 for the role owner, an empty change and an unknown field; 404 for an unknown member', async () => {
    const { admin, reviewer } = await addCompany(t)
    for (const body of [{ role: 'owner' }, {}, { colour: 'red' }, { is_active: 'no' }]) {
      assert.equal((await change(admin.token, reviewer.id, body)).status, 422, JSON.stringify(body))
    }
    assert.equal((await change(admin.token, randomUUID(), { role: 'auditor' })).status, 404)
  })

  test('403 auth.step_up_required if the sign-in is not fresh', async () => {
    const { admin, reviewer } = await addCompany(t)
    await t.sql(`update sessions set signed_in_at = now() - interval '1 day' where user_id = $1`, [admin.id])
    assert.equal((await change(admin.token, reviewer.id, { role: 'admin' })).body.code, 'auth.step_up_required')
  })
})
