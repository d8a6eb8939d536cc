import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createPasswords } from '../../../src/identity/accounts/passwords.ts'
import { type Reply, startTestApp, type TestApp } from '../../harness.ts'
import type { TestPerson } from '../../people-and-keys.ts'
import { addCompany, alsoIn, signedIn, told } from '../organizations/tenancy.ts'

const passwords = createPasswords({ cost: 4 })
const sameOrigin = { 'sec-fetch-site': 'same-origin' }
const minute = 60_000
let t: TestApp
before(async () => {
  t = await startTestApp({ passwords, environment: { RATE_LIMIT_PERSON: 'off', RATE_LIMIT_ADDRESS: 'off' } })
})
after(() => t.stop())

/** A person in two organizations who is signed in to the first. */
async function traveller(): Promise<{ readonly here: TestPerson; readonly there: TestPerson }> {
  const [one, two] = [await addCompany(t), await addCompany(t)]
  const here = one.reviewer
  await t.sql('update accounts set password_hash = $2, last_organization_id = $3 where id = $1', [
    here.id,
    await passwords.hash('correct horse'),
    one.organizationId,
  ])
  return { here, there: await alsoIn(t, here, two.organizationId, 'auditor') }
}

const cookieOf = (reply: Reply): string => {
  const header = String(reply.headers['set-cookie'] ?? '')
  return /hitl_session=([^;]*)/.exec(header)?.[1] ?? assert.fail(`no cookie: ${reply.text}`)
}
const signIn = async ({ id }: TestPerson, remember: boolean): Promise<Reply> => {
  const body = { username: `${id}@example.com`, password: 'correct horse', session_cookie: remember }
  const reply = await t.call('POST', '/api/v1/auth/login', { body, headers: sameOrigin })
  assert.equal(reply.status, 200, reply.text)
  return reply
}
const switchTo = (as: string, { organizationId }: TestPerson, cookie?: string): Promise<Reply> =>
  t.call('POST', '/api/v1/auth/switch', {
    as,
    body: { organization_id: organizationId },
    headers: cookie === undefined ? {} : { cookie: `hitl_session=${cookie}` },
  })
const me = async (as: string) => (await t.call('GET', '/api/v1/auth/me', { as })).status

describe('switching', () => {
  test('ends one session and opens the other in one commit, with an event in each organization', async () => {
    const { here, there } = await traveller()
    const as = (await signIn(here, false)).body.access_token
    assert.equal((await switchTo(as, there)).status, 200)
    const ended = (await told(t, here.organizationId, 'session.ended')).at(-1)
    const opened = (await told(t, there.organizationId, 'session.opened')).at(-1)
    assert.deepEqual([ended?.after.because, ended?.actor.id], ['switched', here.id])
    assert.equal(opened?.actor.id, there.id)
    const [commits] = await t.sql(
      `select count(distinct xact)::int as n from events where subject_id = any ($1) and kind <> 'session.opened'
       or (kind = 'session.opened' and subject_id = $2)`,
      [[ended?.subject.id], opened?.subject.id],
    )
    assert.equal(commits?.n, 1)
  })

  test('does not extend a bearer session beyond the end of the first sign-in', async () => {
    const { here, there } = await traveller()
    let as = (await signIn(here, false)).body.access_token
    for (const [to, left] of [
      [there, 20],
      [here, 10],
    ] as const) {
      t.clock.advance(10 * minute)
      const reply = await switchTo(as, to)
      assert.equal(reply.status, 200, reply.text)
      assert.equal(reply.body.expires_in, left * 60)
      as = reply.body.access_token
    }
    t.clock.advance(10 * minute)
    assert.equal(await me(as), 401)
  })

  test('does not turn a bearer session into a browser session, whatever cookie is sent', async () => {
    const { here, there } = await traveller()
    const as = (await signIn(here, false)).body.access_token
    const others = cookieOf(await signIn(here, true))
    const reply = await switchTo(as, there, others)
    assert.equal(reply.status, 200, reply.text)
    assert.equal(reply.headers['set-cookie'], undefined)
  })

  test('gives a browser a new cookie without extending its end or idle time', async () => {
    const { here, there } = await traveller()
    const reply = await signIn(here, true)
    const [before] = await t.sql('select expires_at, signed_in_at from sessions where user_id = $1 and kind = $2', [
      here.id,
      'browser',
    ])
    t.clock.advance(5 * minute)
    const switched = await switchTo(reply.body.access_token, there, cookieOf(reply))
    assert.equal(switched.status, 200, switched.text)
    assert.notEqual(cookieOf(switched), cookieOf(reply))
    const [after] = await t.sql('select expires_at, signed_in_at from sessions where user_id = $1 and kind = $2', [
      there.id,
      'browser',
    ])
    assert.deepEqual(after, before)
    const refresh = (cookie: string) =>
      t.call('POST', '/api/v1/auth/refresh', { headers: { cookie: `hitl_session=${cookie}`, ...sameOrigin } })
    assert.equal((await refresh(cookieOf(reply))).status, 401)
    assert.equal((await refresh(cookieOf(switched))).body.user.id, there.id)
  })

  test('403 for a browser’s token without its cookie or with another one: the token alone is not enough', async () => {
    const { here, there } = await traveller()
    const [mine, other] = [await signIn(here, true), await signIn(here, true)]
    for (const cookie of [undefined, 'x'.repeat(43), cookieOf(other)]) {
      const reply = await switchTo(mine.body.access_token, there, cookie)
      assert.deepEqual([reply.status, reply.body.code], [403, 'session.cookie_missing'])
      assert.equal(reply.headers['set-cookie'], undefined)
    }
    assert.equal(await me(mine.body.access_token), 200)
  })

  test('an ended session cannot open another, even if the process still has it cached', async () => {
    const { here, there } = await traveller()
    const as = (await signIn(here, false)).body.access_token
    assert.equal(await me(as), 200)
    // Behind the service's back, as another process does it.
    await t.sql('update sessions set revoked_at = now() where user_id = $1', [here.id])
    const reply = await switchTo(as, there)
    assert.deepEqual([reply.status, reply.body.code], [401, 'session.over'])
  })

  test('404 if the membership is not active', async () => {
    const { here, there } = await traveller()
    await t.sql('update users set is_active = false where id = $1', [there.id])
    const as = (await signIn(here, false)).body.access_token
    assert.equal((await switchTo(as, there)).status, 404)
    assert.equal(await me(as), 200)
  })
})

describe('signing in', () => {
  test('leads to the last organization, but skips one that requires single sign-on', async () => {
    const { here, there } = await traveller()
    assert.equal((await signIn(here, false)).body.user.id, here.id)
    assert.equal((await switchTo((await signIn(here, false)).body.access_token, there)).status, 200)
    assert.equal((await signIn(here, false)).body.user.id, there.id)
    await t.sql(
      `insert into identity_providers (organization_id, id, name, issuer, client_id, scopes, role_map, team_map,
         creates_members, email_domains, is_enforced, is_active, created_at, updated_at)
       values ($1, gen_random_uuid(), 'x', 'https://127.0.0.1:9', 'x', '{openid}', '{}', '{}', false, '{}', true, true, now(), now())`,
      [there.organizationId],
    )
    assert.equal((await signIn(here, false)).body.user.id, here.id)
  })
})

describe('my sessions in several organizations', () => {
  test('end together in one call, with an event in each organization, except the one that calls', async () => {
    const { here, there } = await traveller()
    await signedIn(t, here)
    const as = await signedIn(t, here)
    const reply = await t.call('POST', '/api/v1/auth/sessions/revoke-others', { as })
    // The fixtures' own two, and one more.
    assert.equal(reply.body.ended, 3)
    assert.deepEqual([await me(as), await me(here.token), await me(there.token)], [200, 401, 401])
    const [elsewhere] = await told(t, there.organizationId, 'session.ended')
    assert.deepEqual([elsewhere?.actor.kind, elsewhere?.actor.id], ['person', there.id])
  })

  test('end one by one, even if there are more than a list shows', async () => {
    const { here, there } = await traveller()
    const [oldest] = await t.sql('select id from sessions where user_id = $1', [there.id])
    for (let more = 0; more < 201; more += 1) await signedIn(t, here)
    const reply = await t.call('POST', `/api/v1/auth/sessions/${oldest?.id}/revoke`, { as: here.token })
    assert.equal(reply.status, 204, reply.text)
    assert.equal(await me(there.token), 401)
  })
})

test('sessions that ended a month ago are deleted with their cookies; the others stay', async () => {
  const { here } = await traveller()
  const [kept, gone] = [await signIn(here, true), await signIn(here, true)]
  const id = (reply: Reply) => JSON.parse(atob(reply.body.access_token.split('.')[1] ?? '')).sid
  await t.sql(`update sessions set expires_at = now() - interval '31 days' where id = $1`, [id(gone)])
  await t.sql(`update sessions set expires_at = now() - interval '29 days' where id = $1`, [id(kept)])
  await t.app.drain()
  const left = (await t.sql('select id from sessions where id = any ($1)', [[id(kept), id(gone)]])).map((row) => row.id)
  assert.deepEqual(left, [id(kept)])
  assert.equal((await t.sql('select from refresh_tokens where session_id = $1', [id(gone)])).length, 0)
})
