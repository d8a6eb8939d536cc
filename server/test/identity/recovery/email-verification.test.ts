import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { placeholderEmail } from '../../../src/identity/accounts/account-link.ts'
import { eventually } from '../../eventually.ts'
import { type Reply, startTestApp, type TestApp } from '../../harness.ts'
import { type MailRelay, startMailRelay } from '../../platform/mail-relay.ts'
import { recordedEvents } from '../../recorded-events.ts'
import { newSession } from '../factors/people.ts'
import { addOrganization, linkIn, newPerson, type TestPerson } from './accounts.ts'

const verificationPath = '/api/v1/auth/email/verification'
const changePath = '/api/v1/auth/email/change'
const confirmPath = '/api/v1/auth/email/confirm'
const hour = 3_600_000

let relay: MailRelay
let t: TestApp
before(async () => {
  relay = await startMailRelay()
  t = await startTestApp({
    environment: {
      PUBLIC_URL: 'https://hitl.example.com',
      SMTP_URL: `smtp://127.0.0.1:${relay.port}`,
      MAIL_FROM: 'HITL <hitl@example.com>',
      RATE_LIMIT_ADDRESS: 'off',
    },
  })
})
after(async () => {
  await t.stop()
  await relay.close()
})

let people = 0
const person = (): Promise<TestPerson> => {
  people += 1
  return newPerson(t, `person-${people}@example.com`)
}
const request = (as: string): Promise<Reply> => t.call('POST', verificationPath, { as })
const confirm = (token: string): Promise<Reply> => t.call('POST', confirmPath, { body: { token } })
const change = (as: string, email: string, current_password?: string): Promise<Reply> =>
  t.call('POST', changePath, { as, body: { email, ...(current_password === undefined ? {} : { current_password }) } })
const login = (email: string, password: string): Promise<Reply> =>
  t.call('POST', '/api/v1/auth/login', { body: { username: email, password } })
const account = async ({ accountId }: TestPerson) =>
  (await t.sql('select email, email_key, email_verified_at from accounts where id = $1', [accountId]))[0]
const eventsOf = (userId: string) => recordedEvents(t.sql, { subject: userId })
const kindsOf = async (userId: string): Promise<readonly string[]> => (await eventsOf(userId)).map(({ kind }) => kind)
const confirmationFor = async (email: string): Promise<string> =>
  linkIn((await relay.lettersTo(email, 'Confirm your address', 1))[0])
const changeLinkFor = async (email: string): Promise<string> =>
  linkIn((await relay.lettersTo(email, 'Confirm your new address', 1))[0])

describe('the current address', () => {
  test('is confirmed by the mailed link, once', async () => {
    const who = await person()
    assert.equal((await request(who.token)).status, 202)
    const link = await confirmationFor(who.email)
    assert.equal((await account(who))?.email_verified_at, null)
    assert.equal((await confirm(link)).status, 204)
    assert.notEqual((await account(who))?.email_verified_at, null)
    assert.equal((await confirm(link)).status, 403)
    assert.ok((await kindsOf(who.userId)).includes('email.verified'))
  })

  test('409 if it is already confirmed', async () => {
    const who = await person()
    await t.sql('update accounts set email_verified_at = now() where id = $1', [who.accountId])
    assert.equal((await request(who.token)).body.code, 'email.already_verified')
  })

  test('the link lasts a day', async () => {
    const who = await person()
    await request(who.token)
    const link = await confirmationFor(who.email)
    t.clock.advance(24 * hour)
    assert.equal((await confirm(link)).status, 403)
    assert.equal((await account(who))?.email_verified_at, null)
  })

  test('429 after five letters within an hour', async () => {
    const who = await person()
    const statuses: number[] = []
    for (let round = 0; round < 6; round += 1) statuses.push((await request(who.token)).status)
    assert.deepEqual(statuses, [202, 202, 202, 202, 202, 429])
  })

  test('401 without a session, 403 with an API key, 403 for an invalid link', async () => {
    assert.equal((await t.call('POST', verificationPath)).status, 401)
    assert.equal((await request(t.apiKey)).status, 403)
    assert.equal((await confirm('A'.repeat(43))).status, 403)
  })
})

describe('a new address', () => {
  test('takes effect when the link mailed to it is used; both addresses are notified', async () => {
    const who = await person()
    const email = 'New.Address@example.com'
    assert.equal((await change(who.token, email, who.password)).status, 202)
    await relay.lettersTo(who.email, 'A new address was asked for', 1)
    assert.equal((await account(who))?.email, who.email)
    assert.equal((await login(who.email, who.password)).status, 200)
    assert.equal((await confirm(await changeLinkFor(email))).status, 204)
    const changed = await account(who)
    assert.equal(changed?.email, email)
    assert.equal(changed?.email_key, email.toLowerCase())
    assert.notEqual(changed?.email_verified_at, null)
    assert.equal((await login(email, who.password)).status, 200)
    assert.equal((await login(who.email, who.password)).status, 401)
    await relay.lettersTo(who.email, 'Your address was changed', 1)
    assert.equal((await t.call('GET', '/api/v1/auth/me', { as: who.token })).body.email, email)
  })

  test('is visible in every organization, with an event in each; the addresses can be erased from it', async () => {
    const who = await person()
    const other = await addOrganization(t, who.userId)
    const email = 'everywhere@example.com'
    await change(who.token, email, who.password)
    await confirm(await changeLinkFor(email))
    for (const userId of [who.userId, other.userId]) {
      const [user] = await t.sql('select email from users where id = $1', [userId])
      assert.equal(user?.email, email)
      const found = (await eventsOf(userId)).find(({ kind }) => kind === 'email.changed')
      assert.ok(found)
      const { erasable, ...record } = found
      assert.ok(!JSON.stringify(record).includes(email))
      assert.ok(JSON.stringify(erasable).includes(email))
    }
  })

  test('needs the password: 403 without it, with a wrong one, and after many of those 429', async () => {
    const who = await person()
    for (const password of [undefined, '', 'not mine at all']) {
      const reply = await change(who.token, 'thief@example.com', password)
      assert.equal(reply.status, 403)
      assert.equal(reply.body.code, 'password.wrong')
    }
    let status = 403
    for (let round = 0; round < 25; round += 1) status = (await change(who.token, 'thief@example.com', 'guess')).status
    assert.equal(status, 429)
    assert.ok(!relay.letters.some(({ to }) => to.includes('thief@example.com')))
    t.clock.advance(2 * hour)
  })

  test('409 at the end if it is taken, which is not revealed before', async () => {
    const [who, owner] = [await person(), await person()]
    const taken = owner.email.replace('person', 'PERSON')
    assert.equal((await change(who.token, taken, who.password)).status, 202)
    const reply = await confirm(await changeLinkFor(taken))
    assert.equal(reply.status, 409)
    assert.equal(reply.body.code, 'auth.email_taken')
    assert.equal((await account(who))?.email, who.email)
  })

  test('links that went to the old mailbox no longer work', async () => {
    const who = await person()
    await t.call('POST', '/api/v1/auth/password/forgot', { body: { email: who.email } })
    await request(who.token)
    const [reset, verification] = [
      linkIn((await relay.lettersTo(who.email, 'Choose a new password', 1))[0]),
      await confirmationFor(who.email),
    ]
    await change(who.token, 'moved@example.com', who.password)
    await confirm(await changeLinkFor('moved@example.com'))
    const body = { token: reset, password: 'a whole new one' }
    assert.equal((await t.call('POST', '/api/v1/auth/password/reset', { body })).status, 403)
    assert.equal((await confirm(verification)).status, 403)
  })

  describe('a link that a thief requested does not work after', () => {
    let thefts = 0
    const asked = async () => {
      const who = await person()
      thefts += 1
      const email = `thief-${thefts}@example.com`
      assert.equal((await change(who.token, email, who.password)).status, 202)
      return { who, link: await changeLinkFor(email) }
    }
    const opensNothing = async ({ who, link }: Awaited<ReturnType<typeof asked>>): Promise<void> => {
      const reply = await confirm(link)
      assert.deepEqual([reply.status, reply.body?.code], [403, 'link.not_valid'])
      assert.equal((await account(who))?.email, who.email)
    }

    test('a reset of the password', async () => {
      const theft = await asked()
      await t.call('POST', '/api/v1/auth/password/forgot', { body: { email: theft.who.email } })
      const token = linkIn((await relay.lettersTo(theft.who.email, 'Choose a new password', 1))[0])
      const body = { token, password: 'a whole new one' }
      assert.equal((await t.call('POST', '/api/v1/auth/password/reset', { body })).status, 204)
      await opensNothing(theft)
    })

    test('a reset by the operator’s link', async () => {
      const theft = await asked()
      const printed = await t.app.identity.passwordChanges.resetLinkFor(theft.who.email)
      const body = { token: printed?.split('#')[1], password: 'a whole new one' }
      assert.equal((await t.call('POST', '/api/v1/auth/password/reset', { body })).status, 204)
      await opensNothing(theft)
    })

    test('a change of the password', async () => {
      const theft = await asked()
      const { token, password } = theft.who
      const body = { current_password: password, new_password: 'a whole new one' }
      assert.equal((await t.call('POST', '/api/v1/auth/password/change', { as: token, body })).status, 204)
      await opensNothing(theft)
    })

    test('the end of all other sessions', async () => {
      const theft = await asked()
      const reply = await t.call('POST', '/api/v1/auth/sessions/revoke-others', { as: theft.who.token })
      assert.equal(reply.status, 200)
      await opensNothing(theft)
    })
  })

  test('403 if the password changes after it was checked and before the link is created', async () => {
    const who = await person()
    await t.sql('begin')
    await t.sql('select from accounts where id = $1 for update', [who.accountId])
    const asking = change(who.token, 'too-late@example.com', who.password)
    // The password is proven; the rest waits for the lock on the account.
    const waiting = `select from pg_locks where not granted and locktype in ('transactionid', 'tuple')`
    await eventually('it waits for the account', async () => (await t.sql(waiting)).length > 0)
    await t.sql(`update accounts set password_hash = 'another one' where id = $1`, [who.accountId])
    await t.sql('commit')
    const reply = await asking
    assert.deepEqual([reply.status, reply.body.code], [403, 'password.wrong'])
    assert.equal((await t.sql('select from account_links where account_id = $1', [who.accountId])).length, 0)
  })

  test('422 for an address that mail cannot be sent to, and for the current one', async () => {
    const who = await person()
    for (const email of ['x', 'a@b, c@d', '"a b"@example.com', 'a@b\r\nBcc: c@d', who.email]) {
      assert.equal((await change(who.token, email, who.password)).status, 422, email)
    }
  })

  test('a person of an identity provider with neither password nor address may set one', async () => {
    const who = await person()
    const none = placeholderEmail(who.accountId)
    const values = [who.accountId, none]
    await t.sql(
      'update accounts set password_hash = null, email = $2::text, email_key = $2::text where id = $1',
      values,
    )
    assert.equal((await request(who.token)).body.code, 'email.none')
    // A sign-in of long ago does not say who holds the session now.
    const stale = await change(who.token, 'first-one@example.com')
    assert.deepEqual([stale.status, stale.body.code], [403, 'auth.step_up_required'])
    const signedIn = await newSession(t, { organizationId: t.organizationId, id: who.userId })
    assert.equal((await change(signedIn, 'first-one@example.com')).status, 202)
    assert.equal((await confirm(await changeLinkFor('first-one@example.com'))).status, 204)
    assert.equal((await account(who))?.email, 'first-one@example.com')
    assert.ok(!relay.letters.some(({ to }) => to.some((address) => address.endsWith('.invalid'))))
  })

  test('409 with an address and no password: a session alone is not enough to change it', async () => {
    const who = await person()
    await t.sql('update accounts set password_hash = null where id = $1', [who.accountId])
    assert.equal((await change(who.token, 'moved-away@example.com')).body.code, 'password.none')
  })
})
