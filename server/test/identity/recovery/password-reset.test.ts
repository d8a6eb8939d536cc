import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { commonPasswordCount, isCommonPassword } from '../../../src/identity/accounts/common-passwords.ts'
import { createNewPasswordCheck } from '../../../src/identity/accounts/new-password.ts'
import { type Reply, startTestApp, type TestApp } from '../../harness.ts'
import { type MailRelay, startMailRelay } from '../../platform/mail-relay.ts'
import { recordedEvents } from '../../recorded-events.ts'
import { addTotp, nextCode } from '../factors/people.ts'
import { addOrganization, linkIn, newPerson, type TestPerson } from './accounts.ts'

const forgotPath = '/api/v1/auth/password/forgot'
const resetPath = '/api/v1/auth/password/reset'
const changePath = '/api/v1/auth/password/change'
const minute = 60_000

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
const forgot = (email: string): Promise<Reply> => t.call('POST', forgotPath, { body: { email } })
const reset = (token: string, password: string): Promise<Reply> =>
  t.call('POST', resetPath, { body: { token, password } })
const login = (email: string, password: string): Promise<Reply> =>
  t.call('POST', '/api/v1/auth/login', { body: { username: email, password } })
/** Enough for failed attempts and links to be forgotten, while password sessions last. */
const hoursLater = (): void => t.clock.advance(2 * 60 * minute)
const eventsOf = (userId: string) => recordedEvents(t.sql, { subject: userId })
const kindsOf = async (userId: string): Promise<readonly string[]> => (await eventsOf(userId)).map(({ kind }) => kind)

const subject = 'Choose a new password'

/** Requests a link and reads it from the mail. */
const tokenFor = async (email: string, earlier = 0): Promise<string> => {
  // All tests share one network, which is throttled after its twentieth mail.
  t.clock.advance(minute)
  assert.equal((await forgot(email)).status, 202)
  return linkIn((await relay.lettersTo(email, subject, earlier + 1))[earlier])
}

describe('POST /auth/password/forgot', () => {
  test('202 in the same words with and without an account; only an account gets a mail', async () => {
    const { email } = await person()
    const [known, unknown] = [await forgot(email), await forgot('nobody@example.com')]
    assert.deepEqual([known.status, unknown.status], [202, 202])
    assert.equal(known.text, unknown.text)
    const named = (reply: Reply) => Object.keys(reply.headers).sort()
    assert.deepEqual(named(known), named(unknown))
    const [letter] = await relay.lettersTo(email, subject, 1)
    assert.match(letter?.text ?? '', /https:\/\/hitl\.example\.com\/password\/reset#[A-Za-z0-9_-]{43}\r?\n/)
    assert.ok(!relay.letters.some(({ to }) => to.includes('nobody@example.com')))
  })

  test('the mail is sent in the background moments later', async () => {
    const { email } = await person()
    await forgot(email)
    await relay.lettersTo(email, subject, 1)
  })

  test('202 comes once the link and its letter are in the database: a process that is killed then loses neither', async () => {
    const { email, accountId } = await person()
    t.clock.advance(minute)
    assert.equal((await forgot(email)).status, 202)
    const [kept] = await t.sql(
      `select (select count(*) from account_links where account_id = $1)::int as links,
        (select count(*) from letters where subject_id = $1)::int as letters`,
      [accountId],
    )
    assert.deepEqual(kept, { links: 1, letters: 1 })
  })

  test('the mail goes to the address of the account, not to the one that was typed', async () => {
    await newPerson(t, 'mike.kelvin@example.com')
    // U+212A, the Kelvin sign, becomes k in lower case, but is a different mailbox.
    await forgot('mi\u212Ae.\u212Aelvin@example.com')
    await relay.lettersTo('mike.kelvin@example.com', subject, 1)
  })

  test('the database has only the hash of the token; no event, log or reply has the token', async () => {
    const { email, userId } = await person()
    const token = await tokenFor(email)
    const rows = await t.sql('select row_to_json(l)::text as row from account_links l')
    assert.ok(rows.length > 0 && !JSON.stringify(rows).includes(token))
    const events = await eventsOf(userId)
    assert.ok(!JSON.stringify(events).includes(token))
    const last = events.at(-1)
    assert.equal(last?.kind, 'password.reset_requested')
    assert.equal(last?.actor.kind, 'anonymous')
  })

  test('at most five mails within an hour, which the reply does not reveal', async () => {
    const { email } = await person()
    hoursLater()
    for (let round = 0; round < 8; round += 1) assert.equal((await forgot(email)).status, 202)
    await relay.lettersTo(email, subject, 5)
    hoursLater()
    await tokenFor(email, 5)
    assert.equal((await relay.lettersTo(email, subject, 6)).length, 6)
  })

  test('429 for many requests, whether the address has an account or not', async () => {
    hoursLater()
    const { email } = await person()
    const untilThrottled = async (address: string): Promise<number> => {
      hoursLater()
      for (let calls = 1; calls < 60; calls += 1) {
        const reply = await forgot(address)
        if (reply.status === 429) {
          assert.ok(Number(reply.headers['retry-after']) >= 1)
          return calls
        }
      }
      return assert.fail('never throttled')
    }
    assert.equal(await untilThrottled(email), await untilThrottled('not-there@example.com'))
    hoursLater()
  })

  test('422 for an invalid address', async () => {
    for (const email of ['', 'x', 'a@b@c', 'a b@c', 'a@b\u0000', 5, null]) {
      assert.equal((await t.call('POST', forgotPath, { body: { email } })).status, 422)
    }
  })
})

describe('POST /auth/password/reset', () => {
  test('204: the new password works, the old one does not, every session has ended, and the person is notified', async () => {
    const { email, token, userId, password } = await person()
    const link = await tokenFor(email)
    assert.equal((await reset(link, 'a whole new one')).status, 204)
    assert.equal((await t.call('GET', '/api/v1/auth/me', { as: token })).status, 401)
    assert.equal((await login(email, password)).status, 401)
    assert.equal((await login(email, 'a whole new one')).status, 200)
    await relay.lettersTo(email, 'Your password was changed', 1)
    const kinds = await kindsOf(userId)
    assert.ok(kinds.includes('password.reset'))
    const ended = (await recordedEvents(t.sql, { kinds: ['session.ended'] })).filter(
      ({ after }) => after.user_id === userId,
    )
    assert.ok(ended.length > 0 && ended.every(({ after }) => after.because === 'password_changed'))
  })

  test('a link works once: 403 the second time, and for all other links of the account', async () => {
    hoursLater()
    const { email } = await person()
    const [first, second] = [await tokenFor(email), await tokenFor(email, 1)]
    assert.equal((await reset(first, 'a whole new one')).status, 204)
    for (const token of [first, second]) {
      const reply = await reset(token, 'yet another one')
      assert.equal(reply.status, 403)
      assert.equal(reply.body.code, 'link.not_valid')
    }
    assert.equal((await login(email, 'a whole new one')).status, 200)
  })

  test('of 6 calls that race with one link, one gets 204', async () => {
    const { email } = await person()
    const token = await tokenFor(email)
    const replies = await Promise.all(Array.from({ length: 6 }, (_, at) => reset(token, `raced number ${at}`)))
    assert.deepEqual(replies.map(({ status }) => status).sort(), [204, 403, 403, 403, 403, 403])
    const winner = replies.findIndex(({ status }) => status === 204)
    assert.equal((await login(email, `raced number ${winner}`)).status, 200)
  })

  test('after 30 minutes it is void', async () => {
    const { email } = await person()
    const token = await tokenFor(email)
    t.clock.advance(30 * minute - 1)
    const alive = await reset(token, 'short')
    assert.equal(alive.status, 422)
    t.clock.advance(1)
    assert.equal((await reset(token, 'a whole new one')).status, 403)
  })

  test('403 in the same words for an invalid token', async () => {
    hoursLater()
    const { email } = await person()
    const token = await tokenFor(email)
    await reset(token, 'a whole new one')
    const [used, made] = [await reset(token, 'a whole new one'), await reset('A'.repeat(43), 'a whole new one')]
    const { request_id: _, ...rest } = used.body
    const { request_id: __, ...others } = made.body
    assert.deepEqual(rest, others)
  })

  test('a confirmation link cannot set a password', async () => {
    const { email, token } = await person()
    assert.equal((await t.call('POST', '/api/v1/auth/email/verification', { as: token })).status, 202)
    const link = linkIn((await relay.lettersTo(email, 'Confirm your address', 1))[0])
    assert.equal((await reset(link, 'a whole new one')).status, 403)
  })

  test('422 for a password that is not allowed, and the link stays usable', async () => {
    const { email } = await person()
    const token = await tokenFor(email)
    for (const password of ['short', 'x'.repeat(73), email, email.toUpperCase(), 'iloveyou', 'Sunshine1', '12345678']) {
      const reply = await reset(token, password)
      assert.equal(reply.status, 422, password)
      assert.equal(reply.body.errors[0].path, 'password')
      assert.ok(!reply.text.includes(password) || password === 'short')
    }
    assert.equal((await reset(token, 'x'.repeat(72))).status, 204)
  })

  test('it proves the mailbox, and after that second factors stay', async () => {
    const { email, accountId } = await person()
    const verified = async () =>
      (await t.sql('select email_verified_at from accounts where id = $1', [accountId]))[0]?.email_verified_at
    assert.equal(await verified(), null)
    await reset(await tokenFor(email), 'a whole new one')
    assert.notEqual(await verified(), null)
    const { seed } = await addTotp(t, (await login(email, 'a whole new one')).body.access_token)
    assert.equal((await reset(await tokenFor(email, 1), 'yet another one')).status, 204)
    const asked = await login(email, 'yet another one')
    assert.deepEqual([asked.status, asked.body.code], [401, 'auth.second_factor_required'])
    const body = { challenge: asked.body.challenge, method: 'totp', code: nextCode(t, seed) }
    assert.equal((await t.call('POST', '/api/v1/auth/login/second-factor', { body })).status, 200)
  })

  test('every organization of the person has an event about it', async () => {
    const { email, userId } = await person()
    const other = await addOrganization(t, userId)
    await reset(await tokenFor(email), 'a whole new one')
    for (const id of [userId, other.userId]) {
      const events = await eventsOf(id)
      const found = events.filter(({ kind }) => kind === 'password.reset')
      assert.equal(found.length, 1)
      assert.equal(found[0]?.organization_id, id === userId ? t.organizationId : other.organizationId)
    }
  })

  test('429 after many wrong tokens', async () => {
    hoursLater()
    const statuses: number[] = []
    for (let round = 0; round < 40; round += 1) statuses.push((await reset('B'.repeat(43), 'a whole new one')).status)
    assert.equal(statuses[0], 403)
    assert.equal(statuses.at(-1), 429)
    hoursLater()
  })
})

describe('the operator’s link', () => {
  test('sets a password, works once, and proves no mailbox', async () => {
    const { email, accountId } = await person()
    const link = await t.app.identity.passwordChanges.resetLinkFor(email.toUpperCase())
    assert.match(link ?? '', /^https:\/\/hitl\.example\.com\/password\/reset#/)
    const token = link?.split('#')[1] ?? ''
    assert.equal((await reset(token, 'a whole new one')).status, 204)
    assert.equal((await reset(token, 'a whole new one')).status, 403)
    const [account] = await t.sql('select email_verified_at from accounts where id = $1', [accountId])
    assert.equal(account?.email_verified_at, null)
  })

  test('is not made for an address without an account', async () => {
    assert.equal(await t.app.identity.passwordChanges.resetLinkFor('nobody@example.com'), null)
  })
})

describe('POST /auth/password/change', () => {
  const change = (as: string, current_password: string, new_password: string) =>
    t.call('POST', changePath, { as, body: { current_password, new_password } })

  test('204: the new password works, this session goes on, all others end', async () => {
    const { email, token, password, userId } = await person()
    const elsewhere = (await login(email, password)).body.access_token
    assert.equal((await change(token, password, 'a whole new one')).status, 204)
    assert.equal((await t.call('GET', '/api/v1/auth/me', { as: token })).status, 200)
    assert.equal((await t.call('GET', '/api/v1/auth/me', { as: elsewhere })).status, 401)
    assert.equal((await login(email, password)).status, 401)
    assert.equal((await login(email, 'a whole new one')).status, 200)
    assert.ok((await kindsOf(userId)).includes('password.changed'))
  })

  test('sessions in other organizations end too', async () => {
    const { token, password, userId } = await person()
    const other = await addOrganization(t, userId)
    assert.equal((await change(token, password, 'a whole new one')).status, 204)
    const open = await t.sql('select from sessions where user_id = $1 and revoked_at is null', [other.userId])
    assert.equal(open.length, 0)
  })

  test('403 for a wrong current password, which counts like a failed sign-in', async () => {
    const { email, token, password } = await person()
    const first = await change(token, 'not mine at all', 'a whole new one')
    assert.equal(first.status, 403)
    assert.equal(first.body.code, 'password.wrong')
    assert.equal((await login(email, password)).status, 200)
    const statuses = [first.status]
    for (let round = 0; round < 25; round += 1) {
      statuses.push((await change(token, 'not mine at all', 'a whole new one')).status)
    }
    assert.equal(statuses.at(-1), 429)
    hoursLater()
  })

  test('422 for the same password, a common one, or the person’s own address', async () => {
    const { email, token, password } = await person()
    for (const next of [password, 'qwertyuiop', 'Password1!', email, 'short']) {
      const reply = await change(token, password, next)
      assert.equal(reply.status, 422, next)
      assert.equal(reply.body.errors[0].path, 'new_password')
    }
  })

  test('409 for a person without a password', async () => {
    const { token, accountId } = await person()
    await t.sql('update accounts set password_hash = null where id = $1', [accountId])
    const reply = await change(token, 'whatever it is', 'a whole new one')
    assert.equal(reply.status, 409)
    assert.equal(reply.body.code, 'password.none')
  })

  test('401 without a session, 403 with an API key', async () => {
    const body = { current_password: 'password123', new_password: 'a whole new one' }
    assert.equal((await t.call('POST', changePath, { body })).status, 401)
    assert.equal((await t.call('POST', changePath, { as: t.apiKey, body })).status, 403)
  })

  test('of 4 changes at once, one succeeds', async () => {
    const { email, token, password } = await person()
    const replies = await Promise.all([1, 2, 3, 4].map((at) => change(token, password, `changed number ${at}`)))
    assert.deepEqual(replies.map(({ status }) => status).sort(), [204, 403, 403, 403])
    const winner = replies.findIndex(({ status }) => status === 204) + 1
    assert.equal((await login(email, `changed number ${winner}`)).status, 200)
  })
})

describe('without a mail relay', () => {
  let quiet: TestApp
  before(async () => {
    quiet = await startTestApp()
  })
  after(() => quiet.stop())

  test('409 with who can help, the same for every address', async () => {
    for (const email of ['admin@example.com', 'nobody@example.com']) {
      const reply = await quiet.call('POST', forgotPath, { body: { email } })
      assert.equal(reply.status, 409)
      assert.equal(reply.body.code, 'mail.not_configured')
    }
  })

  test('the operator’s link still works', async () => {
    const link = await quiet.app.identity.passwordChanges.resetLinkFor('reviewer@example.com')
    const body = { token: link?.split('#')[1], password: 'a whole new one' }
    assert.equal((await quiet.call('POST', resetPath, { body })).status, 204)
  })
})

describe('common passwords', () => {
  const check = createNewPasswordCheck({ production: true })
  const refuses = (password: string, email = 'grace@example.com'): boolean => {
    try {
      check(password, email)
      return false
    } catch {
      return true
    }
  }

  test('there are more than 3 000 of them, all long enough to be valid otherwise', () => {
    assert.ok(commonPasswordCount() > 3_000, String(commonPasswordCount()))
    assert.equal(isCommonPassword('1234567'), false)
  })

  for (const password of [
    'password',
    'PASSWORD1',
    'password123',
    'p@ssw0rd',
    '12345678',
    '123456789',
    '11111111',
    'qwertyuiop',
    'qwerty123',
    '1q2w3e4r',
    '1qaz2wsx',
    'iloveyou',
    'sunshine',
    'princess1',
    'football',
    'Welcome1',
    'letmein123',
    'trustno1',
    'changeme',
    'administrator',
    'abcdefgh',
    'zxcvbnm,',
    'superman1',
    'michael1',
    'asdfasdf',
    '87654321',
  ]) {
    test(`refused: ${password}`, () => assert.equal(refuses(password), true))
  }

  for (const password of [
    'correct horse',
    'correct horse battery staple',
    'xK4!mfQ2',
    'dreizehn Katzen',
    'grüße aus Ulm',
  ]) {
    test(`accepted: ${password}`, () => assert.equal(refuses(password), false))
  }

  test('refused: the person’s own address, and the part before its @', () => {
    assert.equal(refuses('grace.hopper', 'Grace.Hopper@example.com'), true)
    assert.equal(refuses('GRACE.HOPPER@example.com', 'grace.hopper@example.com'), true)
  })

  test('the sample password is accepted only outside production', () => {
    assert.doesNotThrow(() => createNewPasswordCheck({ production: false })('password123', 'a@example.com'))
    assert.equal(refuses('password123'), true)
  })
})
