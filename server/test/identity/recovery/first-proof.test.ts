import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createPasswords } from '../../../src/identity/accounts/passwords.ts'
import { eventually } from '../../eventually.ts'
import { type Reply, startTestApp, type TestApp } from '../../harness.ts'
import { type MailRelay, startMailRelay } from '../../platform/mail-relay.ts'
import { recordedEvents } from '../../recorded-events.ts'
import { createAuthenticator } from '../factors/authenticator.ts'
import { addTotp, auth, nextCode, recoveryCodes, withStepUp } from '../factors/people.ts'
import { addProvider, createBrowser, publicUrl, signInBy, type TestProvider } from '../sso/sso-app.ts'
import { linkIn } from './accounts.ts'

/** What a stranger adds to an account registered for another person's address must not survive when that person arrives. */

let relay: MailRelay
let t: TestApp
let provider: TestProvider
before(async () => {
  relay = await startMailRelay()
  t = await startTestApp({
    passwords: createPasswords({ cost: 4 }),
    environment: {
      PUBLIC_URL: publicUrl,
      SMTP_URL: `smtp://127.0.0.1:${relay.port}`,
      MAIL_FROM: 'HITL <hitl@example.com>',
      RATE_LIMIT_ADDRESS: 'off',
      REGISTRATION: 'open',
      SSO_ALLOW: '127.0.0.0/8',
      STEP_UP_FRESH_MINUTES: '1440',
    },
  })
  provider = await addProvider(t)
})
after(async () => {
  await provider.op.close()
  await t.stop()
  await relay.close()
})

const password = 'correct horse'
const login = (email: string, typed: string): Promise<Reply> =>
  t.call('POST', `${auth}/login`, { body: { username: email, password: typed } })
const reset = (token: string, typed: string): Promise<Reply> =>
  t.call('POST', `${auth}/password/reset`, { body: { token, password: typed } })
const stranger = { sub: 'stranger', email: 'stranger@example.com', email_verified: true }

let victims = 0
/** An account with an unproven address and one of everything that can sign in. */
const hijack = async () => {
  victims += 1
  const email = `victim-${victims}@example.com`
  const registered = await t.call('POST', `${auth}/register`, { body: { email, password } })
  assert.equal(registered.status, 201, registered.text)
  const { access_token: token } = (await login(email, password)).body
  const { seed } = await addTotp(t, token)
  const authenticator = createAuthenticator({ origin: publicUrl, rpId: new URL(publicUrl).hostname })
  const proof = { method: 'totp', code: nextCode(t, seed) }
  const begun = await withStepUp(t, token, proof, 'POST', `${auth}/factors/passkeys/options`)
  const body = { credential: authenticator.create(begun.body) }
  assert.equal((await t.call('POST', `${auth}/factors/passkeys`, { as: token, body })).status, 201)
  await recoveryCodes(t, token, seed)
  return { email, token, seed, authenticator, userId: registered.body.id as string }
}

const beginLink = async ({ token, seed }: Awaited<ReturnType<typeof hijack>>, sub: string) => {
  const browser = createBrowser(t)
  const path = `${auth}/sso/${provider.id}/link`
  const refused = await t.call('POST', path, { as: token, body: { return_to: '/' } })
  const proof = { digest: refused.body.digest, method: 'totp', code: nextCode(t, seed) }
  const stepUp = await t.call('POST', `${auth}/step-up`, { as: token, body: proof })
  const headers = { 'x-step-up': stepUp.body.step_up }
  const begun = await browser.call('POST', path, { as: token, headers, body: { return_to: '/' } })
  assert.equal(begun.status, 200, begun.text)
  provider.op.signsIn({ ...stranger, sub })
  const answer = await provider.op.visit(begun.body.authorization_url)
  return () => browser.get(answer.pathname + answer.search)
}

const mailedLink = async (email: string): Promise<string> => {
  t.clock.advance(60_000)
  assert.equal((await t.call('POST', `${auth}/password/forgot`, { body: { email } })).status, 202)
  return linkIn((await relay.lettersTo(email, 'Choose a new password', 1))[0])
}

const withPasskey = async ({ authenticator }: Awaited<ReturnType<typeof hijack>>): Promise<number> => {
  const asked = await t.call('POST', `${auth}/login/passkey/options`, { body: {} })
  return (await t.call('POST', `${auth}/login/passkey`, { body: { assertion: authenticator.get(asked.body) } })).status
}

const factorsOf = async (as: string) => (await t.call('GET', `${auth}/factors`, { as })).body

const removals = (userId: string) => recordedEvents(t.sql, { subject: userId, kinds: ['factors.removed'] })

describe('a reset by mail that is the first proof of the mailbox', () => {
  test('leaves nothing that signs in but the new password, with an event and a mail about it', async () => {
    const victim = await hijack()
    const sub = `stranger-of-${victim.email}`
    assert.equal((await (await beginLink(victim, sub))()).status, 303)
    const finishLink = await beginLink(victim, `${sub}-again`)
    assert.equal(await withPasskey(victim), 200)
    const waiting = (await login(victim.email, password)).body.challenge
    const link = await mailedLink(victim.email)
    assert.equal((await reset(link, 'a whole new one')).status, 204)

    assert.equal(await withPasskey(victim), 401)
    const code = nextCode(t, victim.seed)
    const second = { challenge: waiting, method: 'totp', code }
    assert.equal(
      (await t.call('POST', `${auth}/login/second-factor`, { body: second })).body.code,
      'auth.challenge_over',
    )
    assert.equal((await t.call('GET', `${auth}/me`, { as: victim.token })).status, 401)
    assert.equal((await signInBy(t, provider, { ...stranger, sub })).reply.status, 403)
    assert.equal((await finishLink()).status, 403)
    const own = await login(victim.email, 'a whole new one')
    assert.equal(own.status, 200, own.text)
    const { second_factor, totp, passkeys, recovery_codes } = await factorsOf(own.body.access_token)
    assert.deepEqual([second_factor, totp, passkeys, recovery_codes], [false, null, [], null])

    const [event, ...others] = await removals(victim.userId)
    assert.equal(others.length, 0)
    assert.deepEqual(event?.before, { totp: 1, passkeys: 1, recovery_codes: 10, sso_identities: 1 })
    assert.deepEqual(event?.after, { because: 'mailbox_first_proven' })
    const [letter] = await relay.lettersTo(victim.email, 'Your password was changed', 1)
    assert.match(letter?.text ?? '', /the first proof that the address is yours/)
  })

  test('has no event and no sentence in the mail if there was nothing to remove', async () => {
    const email = 'plain@example.com'
    const registered = await t.call('POST', `${auth}/register`, { body: { email, password } })
    assert.equal((await reset(await mailedLink(email), 'a whole new one')).status, 204)
    assert.deepEqual(await removals(registered.body.id), [])
    const [letter] = await relay.lettersTo(email, 'Your password was changed', 1)
    assert.doesNotMatch(letter?.text ?? '', /first proof/)
  })

  test('keeps a provider’s identity that is the only way in, because nobody could link it again', async (c) => {
    const victim = await hijack()
    const sub = `member-of-${victim.email}`
    assert.equal((await (await beginLink(victim, sub))()).status, 303)
    await t.sql('update identity_providers set is_enforced = true where id = $1', [provider.id])
    c.after(() => t.sql('update identity_providers set is_enforced = false where id = $1', [provider.id]))
    assert.equal((await reset(await mailedLink(victim.email), 'a whole new one')).status, 204)
    assert.equal((await signInBy(t, provider, { ...stranger, sub })).reply.status, 303)
  })
})

describe('everything stays', () => {
  test('on a reset by mail, if the mailbox was already proven', async () => {
    const victim = await hijack()
    assert.equal((await t.call('POST', `${auth}/email/verification`, { as: victim.token })).status, 202)
    const proof = linkIn((await relay.lettersTo(victim.email, 'Confirm your address', 1))[0])
    assert.equal((await t.call('POST', `${auth}/email/confirm`, { body: { token: proof } })).status, 204)
    assert.equal((await reset(await mailedLink(victim.email), 'a whole new one')).status, 204)
    const reply = await login(victim.email, 'a whole new one')
    assert.equal(reply.body.code, 'auth.second_factor_required')
    assert.deepEqual(reply.body.methods, ['passkey', 'totp', 'recovery_code'])
    assert.deepEqual(await removals(victim.userId), [])
  })

  test('on a reset by the operator’s link, which proves no mailbox', async () => {
    const victim = await hijack()
    const link = await t.app.identity.passwordChanges.resetLinkFor(victim.email)
    assert.equal((await reset(link?.split('#')[1] ?? '', 'a whole new one')).status, 204)
    assert.equal((await login(victim.email, 'a whole new one')).body.code, 'auth.second_factor_required')
  })
})

/** Delays a call at the rows that `lock` locks, so that `change` comes first. */
const overtaken = async <T>(
  lock: string,
  of: string,
  call: () => Promise<T>,
  change: () => Promise<unknown>,
): Promise<T> => {
  await t.sql('begin')
  await t.sql(lock, [of])
  const answer = call()
  const waiting = `select from pg_locks where not granted and locktype in ('transactionid', 'tuple')`
  await eventually('it waits', async () => (await t.sql(waiting)).length > 0)
  await change()
  await t.sql('commit')
  return answer
}

describe('401 for a sign-in that was proved before the password changed and completes after it', () => {
  const changed = (email: string) => () => {
    t.clock.advance(1)
    return t.sql('update accounts set password_changed_at = $2 where email = $1', [email, t.clock.now()])
  }
  const lock = 'select from users where email = $1 for update'

  test('with the password', async () => {
    const email = 'overtaken@example.com'
    await t.call('POST', `${auth}/register`, { body: { email, password } })
    const reply = await overtaken(lock, email, () => login(email, password), changed(email))
    assert.deepEqual([reply.status, reply.body.code], [401, 'session.over'])
    assert.equal((await login(email, password)).status, 200)
  })

  test('with a passkey', async () => {
    const victim = await hijack()
    assert.equal(await overtaken(lock, victim.email, () => withPasskey(victim), changed(victim.email)), 401)
    assert.equal(await withPasskey(victim), 200)
  })

  test('with a second factor', async () => {
    const victim = await hijack()
    const { challenge } = (await login(victim.email, password)).body
    const body = { challenge, method: 'totp', code: nextCode(t, victim.seed) }
    const second = () => t.call('POST', `${auth}/login/second-factor`, { body })
    assert.equal((await overtaken(lock, victim.email, second, changed(victim.email))).status, 401)
  })
})

test('401 for a factor whose session ends while it is being added', async () => {
  const email = 'late@example.com'
  const registered = await t.call('POST', `${auth}/register`, { body: { email, password } })
  const { access_token: token } = (await login(email, password)).body
  const begun = await t.call('POST', `${auth}/factors/passkeys/options`, { as: token })
  const authenticator = createAuthenticator({ origin: publicUrl, rpId: new URL(publicUrl).hostname })
  const body = { credential: authenticator.create(begun.body) }
  const reply = await overtaken(
    'select from accounts where email = $1 for update',
    email,
    () => t.call('POST', `${auth}/factors/passkeys`, { as: token, body }),
    () => t.sql('update sessions set revoked_at = now() where user_id = $1', [registered.body.id]),
  )
  assert.deepEqual([reply.status, reply.body.code], [401, 'session.over'])
  const own = 'select from passkeys p join accounts a on a.id = p.account_id where a.email = $1'
  assert.equal((await t.sql(own, [email])).length, 0)
})
