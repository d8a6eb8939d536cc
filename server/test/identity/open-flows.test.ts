import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { type Reply, startTestApp, type TestApp } from '../harness.ts'
import { addPerson, type TestPerson } from '../people-and-keys.ts'
import { type MailRelay, startMailRelay } from '../platform/mail-relay.ts'
import { createAuthenticator } from './factors/authenticator.ts'
import { codeAt } from './factors/authenticator-app.ts'
import { newSession } from './factors/people.ts'
import { linkIn } from './recovery/accounts.ts'
import { type OpenIdProvider, startOpenIdProvider } from './sso/openid-provider.ts'
import {
  addProvider,
  type Browser,
  ownPage,
  publicUrl,
  signInBy,
  startPath,
  type TestProvider,
  tokenOf,
} from './sso/sso-app.ts'

const auth = '/api/v1/auth'
const site = { origin: publicUrl, rpId: 'hitl.example.com' }

let relay: MailRelay
let t: TestApp
let ops: readonly OpenIdProvider[]
before(async () => {
  relay = await startMailRelay()
  ops = [await startOpenIdProvider(), await startOpenIdProvider()]
  t = await startTestApp({
    environment: {
      PUBLIC_URL: publicUrl,
      SSO_ALLOW: '127.0.0.0/8',
      RATE_LIMIT_ADDRESS: 'off',
      RATE_LIMIT_PERSON: 'off',
      STEP_UP_FRESH_MINUTES: '1440',
      SMTP_URL: `smtp://127.0.0.1:${relay.port}`,
      MAIL_FROM: 'HITL <hitl@example.com>',
    },
  })
})
after(async () => {
  await t.stop()
  await relay.close()
  for (const op of ops) await op.close()
})

/** A member of an organization of their own with an owner, who came in by the organization's first provider. */
interface Member {
  readonly owner: TestPerson
  /** The second one is for linking. */
  readonly providers: readonly [TestProvider, TestProvider]
  readonly browser: Browser
  readonly token: string
  readonly id: string
  readonly accountId: string
  readonly sessionId: string
}

let members = 0
async function newMember(): Promise<Member> {
  members += 1
  const organizationId = randomUUID()
  await t.sql('insert into organizations (organization_id, name) values ($1, $2)', [organizationId, 'Flows'])
  const owner = await addPerson(t, organizationId, 'owner')
  await t.sql('update sessions set signed_in_at = $2 where user_id = $1', [owner.id, t.clock.now()])
  const add = (op: OpenIdProvider | undefined) =>
    addProvider(t, { creates_members: true, default_role: 'reviewer' }, { op: op as OpenIdProvider, as: owner.token })
  const providers = [await add(ops[0]), await add(ops[1])] as const
  const person = { sub: `subject-${members}`, email: `member-${members}@example.com`, email_verified: true }
  const { browser } = await signInBy(t, providers[0], person)
  const token = await tokenOf(browser)
  const [row] = await t.sql(
    'select id, account_id, user_id from sessions where organization_id = $1 and user_id <> $2',
    [organizationId, owner.id],
  )
  const { id: sessionId, account_id: accountId, user_id: id } = row as Record<string, string>
  return { owner, providers, browser, token, id, accountId, sessionId } as Member
}

/** One more session of the member, which nothing below ends but what ends all. */
const another = ({ owner, id }: Member): Promise<string> => newSession(t, { organizationId: owner.organizationId, id })

const ends: Readonly<Record<string, (member: Member) => Promise<Reply | undefined>>> = {
  'is revoked by its person': async (member) =>
    t.call('POST', `${auth}/sessions/${member.sessionId}/revoke`, { as: await another(member) }),
  'is revoked with all others': async (member) =>
    t.call('POST', `${auth}/sessions/revoke-others`, { as: await another(member) }),
  'is revoked by an administrator': ({ owner, id, sessionId }) =>
    t.call('POST', `/api/v1/users/${id}/sessions/${sessionId}/revoke`, { as: owner.token }),
  'signs out': ({ token }) => t.call('POST', `${auth}/logout`, { as: token }),
  expires: ({ sessionId }) => setTime('expires_at', sessionId),
  'is idle for too long': ({ sessionId }) => setTime('idle_until', sessionId),
  'ends with its deactivated member': ({ owner, id }) =>
    t.call('PATCH', `/api/v1/users/${id}`, { as: owner.token, body: { is_active: false } }),
  'ends with its member, who is activated again at once': async ({ owner, id }) => {
    const set = (is_active: boolean) => t.call('PATCH', `/api/v1/users/${id}`, { as: owner.token, body: { is_active } })
    ok(await set(false))
    return set(true)
  },
  'ends because the operator recovers the account': async ({ accountId }) => {
    const recovered = await t.app.identity.accountRecovery.recover(`${accountId}@sso.invalid`, true, 'test')
    assert.ok(recovered)
  },
  'ends with a new password': async ({ accountId }) => {
    const link = await t.app.identity.passwordChanges.resetLinkFor(`${accountId}@sso.invalid`)
    const body = { token: link?.split('#')[1], password: 'a whole new one' }
    return t.call('POST', `${auth}/password/reset`, { body })
  },
  'ends with its organization': ({ owner }) =>
    t.call('POST', '/api/v1/organization/delete', { as: owner.token, body: { name: 'Flows' } }),
  'ends with its organization, which is restored at once': async ({ owner }) => {
    ok(await t.call('POST', '/api/v1/organization/delete', { as: owner.token, body: { name: 'Flows' } }))
    return t.call('POST', '/api/v1/organization/restore', { as: owner.token })
  },
  'ends with its unlinked identity': async (member) => {
    const as = await another(member)
    const [identity] = (await t.call('GET', `${auth}/sso/identities`, { as })).body.items
    await t.sql('delete from passkeys where account_id = $1', [member.accountId])
    return t.call('DELETE', `${auth}/sso/identities/${identity.id}`, { as })
  },
  'ends with its provider, which is switched off': ({ providers }) => providers[0].change({ is_active: false }),
  'ends with its provider, which is deleted': ({ owner, providers }) =>
    t.call('DELETE', `/api/v1/identity-providers/${providers[0].id}`, { as: owner.token }),
}
const ofTheAccount = [
  'is revoked with all others',
  'ends with its deactivated member',
  'ends with its member, who is activated again at once',
  'ends with its organization, which is restored at once',
  'ends because the operator recovers the account',
  'ends with a new password',
  'ends with its organization',
]

async function setTime(column: 'expires_at' | 'idle_until', sessionId: string): Promise<undefined> {
  await t.sql(`update sessions set ${column} = $2 where id = $1`, [sessionId, t.clock.now()])
  t.app.identity.authenticator.forget(sessionId)
}

interface Flow {
  /** Begins it in the member's session; returns how it is finished with an access token. */
  readonly begin: (member: Member) => Promise<(as: string) => Promise<Reply>>
  /** The ends that it dies with; left out: all of them. */
  readonly dies?: readonly string[]
}

const ok = (reply: Reply): Reply => {
  assert.ok(reply.status < 400, reply.text)
  return reply
}

async function addPasskey(token: string) {
  const passkey = createAuthenticator(site)
  const options = ok(await t.call('POST', `${auth}/factors/passkeys/options`, { as: token })).body
  const body = { credential: passkey.create(options) }
  ok(await t.call('POST', `${auth}/factors/passkeys`, { as: token, body }))
  return passkey
}

/** A passkey's reply for making recovery codes, which needs a step-up. */
async function provenByPasskey(token: string) {
  const passkey = await addPasskey(token)
  const refused = await t.call('POST', `${auth}/factors/recovery-codes`, { as: token })
  const { digest } = refused.body
  const options = ok(await t.call('POST', `${auth}/step-up/passkey-options`, { as: token, body: { digest } })).body
  return { digest, method: 'passkey', assertion: passkey.get(options) }
}

const flows: Readonly<Record<string, Flow>> = {
  'linking an identity': {
    begin: async ({ providers, browser, token }) => {
      const begun = ok(await browser.call('POST', `${auth}/sso/${providers[1].id}/link`, { as: token, body: {} }))
      providers[1].op.signsIn({ sub: randomUUID() })
      const answer = await providers[1].op.visit(begun.body.authorization_url)
      return () => browser.get(answer.pathname + answer.search)
    },
  },
  'signing in by single sign-on': {
    begin: async ({ providers, browser }) => {
      const started = await browser.get(startPath(providers[0].id), ownPage)
      const answer = await providers[0].op.visit(String(started.headers.location))
      return () => browser.get(answer.pathname + answer.search)
    },
    dies: [
      'ends with its deactivated member',
      'ends with its organization',
      'ends with its unlinked identity',
      'ends with its provider, which is switched off',
      'ends with its provider, which is deleted',
    ],
  },
  'adding a passkey': {
    begin: async ({ token }) => {
      const options = ok(await t.call('POST', `${auth}/factors/passkeys/options`, { as: token })).body
      const body = { credential: createAuthenticator(site).create(options) }
      return (as) => t.call('POST', `${auth}/factors/passkeys`, { as, body })
    },
  },
  'adding an authenticator app': {
    begin: async ({ token }) => {
      const { id, secret } = ok(await t.call('POST', `${auth}/factors/totp`, { as: token })).body
      const body = { code: codeAt(secret, t.clock.now()) }
      return (as) => t.call('POST', `${auth}/factors/totp/${id}/confirm`, { as, body })
    },
  },
  'changing the address': {
    begin: async ({ token }) => {
      const email = `${randomUUID()}@example.com`
      ok(await t.call('POST', `${auth}/email/change`, { as: token, body: { email } }))
      const body = { token: linkIn((await relay.lettersTo(email, 'Confirm your new address', 1))[0]) }
      return () => t.call('POST', `${auth}/email/confirm`, { body })
    },
  },
  'proving a step-up by passkey': {
    begin: async ({ token }) => {
      const body = await provenByPasskey(token)
      return (as) => t.call('POST', `${auth}/step-up`, { as, body })
    },
  },
  'using a step-up': {
    begin: async ({ token }) => {
      const earned = ok(await t.call('POST', `${auth}/step-up`, { as: token, body: await provenByPasskey(token) })).body
      const headers = { 'x-step-up': earned.step_up }
      return (as) => t.call('POST', `${auth}/factors/recovery-codes`, { as, headers })
    },
  },
  'a second factor at sign-in': {
    begin: async (member) => {
      const { passkey, challenge } = await waiting(member)
      const options = ok(await t.call('POST', `${auth}/login/passkey/options`, { body: { challenge } })).body
      const body = { challenge, method: 'passkey', assertion: passkey.get(options) }
      return () => t.call('POST', `${auth}/login/second-factor`, { body })
    },
    dies: ofTheAccount,
  },
  'a password reset': {
    begin: async ({ accountId }) => {
      const link = await t.app.identity.passwordChanges.resetLinkFor(`${accountId}@sso.invalid`)
      const body = { token: link?.split('#')[1], password: 'another whole new one' }
      return () => t.call('POST', `${auth}/password/reset`, { body })
    },
    dies: ['is revoked with all others', 'ends because the operator recovers the account', 'ends with a new password'],
  },
}

/** A sign-in of the member with a password that waits for the passkey. */
async function waiting({ owner, id, accountId, token }: Member) {
  const passkey = await addPasskey(token)
  const first = { accountId, organizationId: owner.organizationId, userId: id, methods: ['password'] }
  const { challenge } = await t.app.identity.factors.signIn.beginChallenge(first)
  return { passkey, challenge }
}

/** What a finished flow would change. */
async function state({ accountId, id }: Member): Promise<unknown> {
  const [row] = await t.sql(
    `select (select jsonb_agg(p.id) from passkeys p where account_id = $1) as passkeys,
       (select count(*) from totp_factors where account_id = $1 and confirmed_at is not null) as totp,
       (select count(*) from recovery_codes where account_id = $1) as codes,
       (select count(*) from step_ups where user_id = $2) as step_ups,
       (select count(*) from sso_identities where user_id = $2) as identities,
       (select count(*) from sessions where account_id = $1) as sessions,
       (select row_to_json(a) from (select email, password_hash from accounts where id = $1) a) as account`,
    [accountId, id],
  )
  return row
}

describe('what a session began', () => {
  for (const [name, { begin, dies }] of Object.entries(flows)) {
    test(`${name} is finished while it is live`, async () => {
      const member = await newMember()
      const finish = await begin(member)
      const before = await state(member)
      ok(await finish(member.token))
      assert.notDeepEqual(await state(member), before)
    })

    for (const [how, end] of Object.entries(ends)) {
      if (dies !== undefined && !dies.includes(how)) continue
      test(`${name} dies when the session ${how}`, async () => {
        const member = await newMember()
        const finish = await begin(member)
        t.clock.advance(1)
        const reply = await end(member)
        if (reply !== undefined) ok(reply)
        const later = await tokenOfLater(member)
        const before = await state(member)
        // The session's own token, and that of another session of the same person.
        for (const as of [member.token, ...later]) {
          const refused = await finish(as)
          assert.ok(refused.status >= 400 && refused.status < 500, refused.text)
        }
        assert.deepEqual(await state(member), before)
      })
    }
  }
})

/** Of a session opened after the end; none where the member is gone. */
async function tokenOfLater(member: Member): Promise<readonly string[]> {
  const [still] = await t.sql('select from users where id = $1', [member.id])
  return still === undefined ? [] : [await another(member)]
}

test('one organization’s provider cannot void what the person has open elsewhere', async () => {
  const member = await newMember()
  const link = await t.app.identity.passwordChanges.resetLinkFor(`${member.accountId}@sso.invalid`)
  ok(await t.call('POST', `${auth}/sessions/revoke-others`, { as: member.token }))
  const body = { token: link?.split('#')[1], password: 'another whole new one' }
  ok(await t.call('POST', `${auth}/password/reset`, { body }))
})

describe('a session that single sign-on opened', () => {
  for (const how of [
    'ends with its unlinked identity',
    'ends with its provider, which is switched off',
    'ends with its provider, which is deleted',
  ]) {
    test(`${how}, and cannot be renewed; another one goes on`, async () => {
      const member = await newMember()
      const other = await another(member)
      ok((await ends[how]?.(member)) as Reply)
      assert.equal((await t.call('GET', `${auth}/me`, { as: member.token })).status, 401)
      const renewed = await member.browser.call('POST', `${auth}/refresh`, { headers: { origin: publicUrl } })
      assert.equal(renewed.status, 401)
      assert.equal((await t.call('GET', `${auth}/me`, { as: other })).status, 200)
    })
  }

  test('goes on when its provider is renamed, and ends when it becomes another issuer', async () => {
    const { providers, token } = await newMember()
    ok(await providers[0].change({ name: 'Renamed' }))
    assert.equal((await t.call('GET', `${auth}/me`, { as: token })).status, 200)
    const there = { issuer: providers[1].op.issuer, client_id: 'another', client_secret: null }
    ok(await providers[0].change(there))
    assert.equal((await t.call('GET', `${auth}/me`, { as: token })).status, 401)
  })
})

describe('a first second factor', () => {
  for (const name of [
    'linking an identity',
    'adding a passkey',
    'adding an authenticator app',
    'changing the address',
  ]) {
    test(`voids ${name} that was begun without one`, async () => {
      const member = await newMember()
      const finish = await flows[name]?.begin(member)
      t.clock.advance(1)
      await addPasskey(await another(member))
      const before = await state(member)
      const refused = await finish?.(member.token)
      assert.ok(refused !== undefined && refused.status >= 400 && refused.status < 500, refused?.text)
      assert.deepEqual(await state(member), before)
    })
  }
})

describe('the word of one organization’s provider, for an account that also belongs to another', () => {
  /** Came in by single sign-on, added a passkey, and joined another organization with it. */
  const inTwo = async () => {
    const member = await newMember()
    const passkey = await addPasskey(member.token)
    const elsewhere = randomUUID()
    await t.sql(`insert into organizations (organization_id, name) values ($1, 'Elsewhere')`, [elsewhere])
    await t.sql(
      `insert into users (organization_id, id, account_id, email, email_key, role, created_at, updated_at)
       select $1, $2, account_id, email, email_key, 'admin', now(), now() from users where id = $3`,
      [elsewhere, randomUUID(), member.id],
    )
    return { member, passkey }
  }
  const change = (as: string, headers = {}, body: object = { email: `${randomUUID()}@example.com` }) =>
    t.call('POST', `${auth}/email/change`, { as, body, headers })

  test('does not change the address; the person’s own passkey does', async () => {
    const { member, passkey } = await inTwo()
    const body = { email: `${randomUUID()}@example.com` }
    const refused = await change(member.token, {}, body)
    assert.deepEqual([refused.status, refused.body.code], [403, 'auth.step_up_required'])
    assert.deepEqual(refused.body.methods, ['passkey'])
    const { digest } = refused.body
    const options = await t.call('POST', `${auth}/step-up/passkey-options`, { as: member.token, body: { digest } })
    const proof = { digest, method: 'passkey', assertion: passkey.get(options.body) }
    const earned = ok(await t.call('POST', `${auth}/step-up`, { as: member.token, body: proof }))
    ok(await change(member.token, { 'x-step-up': earned.body.step_up }, body))
  })

  test('does nothing to the account when the person has no factor of their own left', async () => {
    const { member } = await inTwo()
    await t.sql('delete from passkeys where account_id = $1', [member.accountId])
    for (const reply of [
      await change(member.token),
      await t.call('POST', `${auth}/factors/totp`, { as: member.token }),
      await t.call('POST', `${auth}/factors/passkeys/options`, { as: member.token }),
    ]) {
      assert.deepEqual([reply.status, reply.body.code], [403, 'auth.step_up_required'])
      assert.match(reply.body.detail, /your identity provider speaks for its own organization alone/)
    }
  })

  test('a stranger’s password does not stand in for a step-up', async () => {
    const { member } = await inTwo()
    const body = { email: `${randomUUID()}@example.com`, current_password: 'made up' }
    assert.equal((await change(member.token, {}, body)).body.code, 'auth.step_up_required')
  })
})
