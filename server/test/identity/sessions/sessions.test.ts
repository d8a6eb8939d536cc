import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { createPasswords } from '../../../src/identity/accounts/passwords.ts'
import { sampleAdmin, samplePassword, sampleReviewer } from '../../../src/seed.ts'
import { startTestApp, type TestApp } from '../../harness.ts'
import { addOrganization, addPerson } from '../../people-and-keys.ts'
import { startOther, withinASecond } from '../two-processes.ts'

let t: TestApp
before(async () => {
  t = await startTestApp({ passwords: createPasswords({ cost: 4 }) })
  await t.sql('update accounts set password_hash = $1', [await createPasswords({ cost: 4 }).hash(samplePassword)])
})
after(() => t.stop())

async function signIn(username: string): Promise<string> {
  const reply = await t.call('POST', '/api/v1/auth/login', {
    body: { username, password: samplePassword },
    headers: { 'user-agent': 'a test' },
  })
  assert.equal(reply.status, 200, reply.text)
  return reply.body.access_token
}
const me = async (token: string): Promise<number> => (await t.call('GET', '/api/v1/auth/me', { as: token })).status
const sessions = async (token: string) => (await t.call('GET', '/api/v1/auth/sessions', { as: token })).body.items
const current = async (token: string): Promise<string> =>
  (await sessions(token)).find((session: { is_current: boolean }) => session.is_current).id

describe('my sessions', () => {
  test('are listed with the method, time and address of the sign-in', async () => {
    const token = await signIn(sampleReviewer)
    const mine = (await sessions(token)).find((session: { is_current: boolean }) => session.is_current)
    assert.deepEqual(
      [mine.kind, mine.signed_in_with, mine.user_agent, mine.network, mine.user_id],
      ['bearer', ['password'], 'a test', '127.0.0.1', t.reviewer.id],
    )
  })

  test('end at once on sign-out', async () => {
    const token = await signIn(sampleReviewer)
    assert.equal((await t.call('POST', '/api/v1/auth/logout', { as: token })).status, 204)
    assert.equal(await me(token), 401)
  })

  test('end one by one, and all others together', async () => {
    const [mine, second, third] = [
      await signIn(sampleReviewer),
      await signIn(sampleReviewer),
      await signIn(sampleReviewer),
    ]
    const path = `/api/v1/auth/sessions/${await current(second)}/revoke`
    assert.equal((await t.call('POST', path, { as: mine })).status, 204)
    assert.equal((await t.call('POST', path, { as: mine })).status, 404)
    assert.deepEqual([await me(mine), await me(second), await me(third)], [200, 401, 200])
    const others = await t.call('POST', '/api/v1/auth/sessions/revoke-others', { as: mine })
    assert.ok(others.body.ended >= 1)
    assert.deepEqual([await me(mine), await me(third)], [200, 401])
  })

  test("404 for another person's session, which goes on", async () => {
    const mine = await signIn(sampleReviewer)
    const admins = await signIn(sampleAdmin)
    const id = await current(admins)
    assert.equal((await t.call('POST', `/api/v1/auth/sessions/${id}/revoke`, { as: mine })).status, 404)
    assert.equal(await me(admins), 200)
  })

  test('end within a second in another process', async (context) => {
    const other = await startOther(t)
    context.after(() => other.stop())
    const token = await signIn(sampleReviewer)
    const there = async (): Promise<number> =>
      (await other.http.inject({ url: '/api/v1/auth/me', headers: { authorization: `Bearer ${token}` } })).statusCode
    assert.equal(await there(), 200)
    await t.call('POST', '/api/v1/auth/logout', { as: token })
    await withinASecond(context, there, 401, 'an ended session was still served')
  })
})

describe("a member's sessions, for administrators", () => {
  test('are listed and ended; 403 for reviewers', async () => {
    const admin = await signIn(sampleAdmin)
    const token = await signIn(sampleReviewer)
    const path = `/api/v1/users/${t.reviewer.id}/sessions`
    const id = await current(token)
    const list = await t.call('GET', path, { as: admin })
    assert.ok(list.body.items.some((session: { id: string }) => session.id === id))
    assert.equal((await t.call('GET', path, { as: token })).status, 403)
    assert.equal((await t.call('POST', `${path}/${id}/revoke`, { as: token })).status, 403)
    assert.equal((await t.call('POST', `${path}/${id}/revoke`, { as: admin })).status, 204)
    assert.equal(await me(token), 401)
  })

  test("another organization's administrator sees none and ends none", async () => {
    const other = await addOrganization(t)
    const token = await signIn(sampleReviewer)
    const path = `/api/v1/users/${t.reviewer.id}/sessions`
    assert.equal((await t.call('GET', path, { as: other.admin.token })).status, 404)
    assert.equal(
      (await t.call('POST', `${path}/${await current(token)}/revoke`, { as: other.admin.token })).status,
      404,
    )
    assert.equal(await me(token), 200)
  })
})

describe('a person of two organizations', () => {
  test('can switch: gets a token there, the current one ends, and the time of the sign-in is kept', async () => {
    const other = await addOrganization(t)
    const here = await addPerson(t)
    await t.sql(
      `insert into users (organization_id, id, account_id, email, email_key, role, created_at, updated_at)
       select $1, $2, account_id, email, email_key, 'auditor', now(), now() from users where id = $3`,
      [other.organizationId, randomUUID(), here.id],
    )
    const listed = await t.call('GET', '/api/v1/organizations', { as: here.token })
    assert.deepEqual(
      listed.body.items
        .map((membership: { role: string; is_current: boolean }) => [membership.role, membership.is_current])
        .sort(),
      [
        ['auditor', false],
        ['reviewer', true],
      ],
    )
    const switched = await t.call('POST', '/api/v1/auth/switch', {
      as: here.token,
      body: { organization_id: other.organizationId },
    })
    assert.equal(switched.status, 200, switched.text)
    assert.equal(switched.body.user.role, 'auditor')
    assert.equal(await me(here.token), 401)
    const [proof] = await t.sql(
      'select signed_in_with from sessions where organization_id = $1 and revoked_at is null and user_id = $2',
      [other.organizationId, switched.body.user.id],
    )
    assert.deepEqual(proof?.signed_in_with, ['password'])
  })

  test('404 for an organization that is not theirs, or does not exist', async () => {
    const other = await addOrganization(t)
    const here = await addPerson(t)
    for (const id of [other.organizationId, randomUUID()]) {
      const reply = await t.call('POST', '/api/v1/auth/switch', { as: here.token, body: { organization_id: id } })
      assert.deepEqual([reply.status, reply.body.code], [404, 'organization.not_found'])
    }
    assert.equal(await me(here.token), 200)
  })
})
