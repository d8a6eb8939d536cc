import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { startTestApp } from '../../harness.ts'
import { codeAt } from './authenticator-app.ts'
import {
  addTotp,
  auth,
  beginSignIn,
  eventsOf,
  newPerson,
  nextCode,
  recoveryCodes,
  signIn,
  type TestPerson,
  travelling,
} from './people.ts'

let t: ReturnType<typeof travelling>
before(async () => {
  t = travelling(await startTestApp({ environment: { TRUSTED_PROXIES: '127.0.0.1/32' } }))
})
beforeEach(() => t.move())
after(() => t.stop())

const complete = (challenge: string, method: string, code: string) =>
  t.call('POST', `${auth}/login/second-factor`, { body: { challenge, method, code } })
const withTotp = async (): Promise<TestPerson & { readonly seed: string }> => {
  const person = await newPerson(t)
  return { ...person, seed: (await addTotp(t, person.token)).seed }
}
const wrongFor = (seed: string): string => {
  const near = [-30, 0, 30].map((seconds) => codeAt(seed, new Date(t.clock.now().getTime() + seconds * 1_000)))
  return ['000000', '000001', '000002', '000003'].find((code) => !near.includes(code)) ?? ''
}

describe('signing in with a password', () => {
  test('200 at once without a second factor; recovery codes alone do not count as one', async () => {
    const person = await newPerson(t)
    assert.equal((await signIn(t, person)).status, 200)
    const unfinished = await t.call('POST', `${auth}/factors/totp`, { as: person.token })
    assert.equal(unfinished.status, 201)
    assert.equal((await signIn(t, person)).status, 200, 'an app that was not confirmed is none')
  })

  test('401 auth.second_factor_required with a second factor, which then completes the sign-in', async () => {
    const person = await withTotp()
    const begun = await signIn(t, person)
    assert.equal(begun.status, 401)
    assert.equal(begun.body.code, 'auth.second_factor_required')
    assert.match(begun.body.challenge, /^[A-Za-z0-9_-]{43}$/)
    assert.deepEqual(begun.body.methods, ['totp'])
    assert.equal(begun.body.expires_at, new Date(t.clock.now().getTime() + 300_000).toISOString())
    assert.match(String(begun.headers['www-authenticate']), /^Bearer/)
    assert.equal(begun.body.access_token, undefined)

    const done = await complete(begun.body.challenge, 'totp', nextCode(t, person.seed))
    assert.equal(done.status, 200, done.text)
    const plain = await signIn(t, await newPerson(t))
    assert.deepEqual(Object.keys(done.body).sort(), Object.keys(plain.body).sort())
    const me = await t.call('GET', `${auth}/me`, { as: done.body.access_token })
    assert.equal(me.body.id, person.id)
    const sessions = await t.sql('select signed_in_with from sessions where user_id = $1', [person.id])
    assert.ok(sessions.some((row) => String(row.signed_in_with) === 'password,totp'))
  })

  test('401 as usual for a wrong password, which does not reveal that there is a second factor', async () => {
    const person = await withTotp()
    const [wrong, unknown] = [
      await signIn(t, person, 'wrong horse'),
      await signIn(t, { ...person, email: 'nobody@example.com' }),
    ]
    for (const reply of [wrong, unknown]) {
      assert.equal(reply.status, 401)
      assert.equal(reply.body.code, 'auth.wrong_credentials')
      assert.equal(reply.body.challenge, undefined)
    }
  })

  test('only the SHA-256 of the challenge is stored', async () => {
    const person = await withTotp()
    const challenge = await beginSignIn(t, person)
    const [row] = await t.sql('select row_to_json(c)::text as all from sign_in_challenges c where account_id = $1', [
      person.accountId,
    ])
    assert.ok(!String(row?.all).includes(challenge))
  })
})

describe('POST /auth/login/second-factor', () => {
  test('401 for a wrong code, five times; then for the right one too', async () => {
    const person = await withTotp()
    const challenge = await beginSignIn(t, person)
    for (const left of [4, 3, 2, 1, 0]) {
      const reply = await complete(challenge, 'totp', wrongFor(person.seed))
      assert.equal(reply.status, 401, reply.text)
      assert.equal(reply.body.code, 'auth.second_factor_wrong')
      assert.equal(reply.body.tries_left, left)
    }
    const right = await complete(challenge, 'totp', nextCode(t, person.seed))
    assert.equal(right.status, 401)
    assert.equal(right.body.code, 'auth.challenge_over')
    // A new challenge does not reset the count of wrong ones either.
    const next = await complete(await beginSignIn(t, person), 'totp', nextCode(t, person.seed))
    assert.equal(next.status, 200, next.text)

    const refusals = (await eventsOf(t, person)).filter((event) => event.kind === 'second_factor.refused')
    assert.equal(refusals.length, 5)
    for (const event of refusals) {
      assert.deepEqual(event.after, { method: 'totp', reason: 'wrong' })
      assert.equal(event.actor.kind, 'anonymous')
      assert.deepEqual(event.subject, { kind: 'user', id: person.id })
    }
  })

  test('only five of twenty simultaneous attempts are checked', async () => {
    const person = await withTotp()
    const challenge = await beginSignIn(t, person)
    const replies = await Promise.all(
      Array.from({ length: 20 }, () => complete(challenge, 'totp', wrongFor(person.seed))),
    )
    assert.ok(replies.every((reply) => reply.status === 401 || reply.status === 429))
    const judged = replies.filter((reply) => reply.body.code === 'auth.second_factor_wrong')
    assert.ok(judged.length <= 5 && judged.length > 0, `${judged.length}`)
    const refusals = (await eventsOf(t, person)).filter((event) => event.kind === 'second_factor.refused')
    assert.equal(refusals.length, judged.length)
  })

  test('429 auth.throttled after many wrong codes over any challenges; after the wait the right one works', async () => {
    const person = await withTotp()
    let throttled = null
    for (let round = 0; round < 5 && throttled === null; round += 1) {
      const challenge = await beginSignIn(t, person)
      for (let tries = 0; tries < 4 && throttled === null; tries += 1) {
        const reply = await complete(challenge, 'totp', wrongFor(person.seed))
        if (reply.status === 429) throttled = reply
      }
    }
    assert.equal(throttled?.body.code, 'auth.throttled')
    assert.ok(Number(throttled?.headers['retry-after']) >= 1)
    t.clock.advance(60_000)
    const right = await complete(await beginSignIn(t, person), 'totp', nextCode(t, person.seed))
    assert.equal(right.status, 200, right.text)
  })

  test('401 after it was completed, and after five minutes', async () => {
    const person = await withTotp()
    const challenge = await beginSignIn(t, person)
    assert.equal((await complete(challenge, 'totp', nextCode(t, person.seed))).status, 200)
    const again = await complete(challenge, 'totp', nextCode(t, person.seed))
    assert.equal(again.body.code, 'auth.challenge_over')
    const late = await beginSignIn(t, person)
    t.clock.advance(300_000)
    assert.equal((await complete(late, 'totp', nextCode(t, person.seed))).body.code, 'auth.challenge_over')
    const made = await complete('A'.repeat(43), 'totp', nextCode(t, person.seed))
    assert.equal(made.body.code, 'auth.challenge_over')
  })

  test('401 after the password that began it was changed', async () => {
    const person = await withTotp()
    const challenge = await beginSignIn(t, person)
    const later = new Date(t.clock.now().getTime() + 1)
    await t.sql('update accounts set password_changed_at = $2 where id = $1', [person.accountId, later])
    const reply = await complete(challenge, 'totp', nextCode(t, person.seed))
    assert.equal(reply.body.code, 'auth.challenge_over')
    const next = await complete(await beginSignIn(t, person), 'totp', nextCode(t, person.seed))
    assert.equal(next.status, 200, next.text)
  })

  test('a code completes one of two sign-ins: 20 times', async () => {
    const person = await withTotp()
    for (let round = 0; round < 20; round += 1) {
      const challenges = [await beginSignIn(t, person), await beginSignIn(t, person)]
      const code = nextCode(t, person.seed)
      const replies = await Promise.all(challenges.map((challenge) => complete(challenge, 'totp', code)))
      assert.deepEqual(replies.map((reply) => reply.status).sort(), [200, 401], `round ${round}`)
    }
  })

  test('of two right factors for one challenge, one signs in and the other stays unused', async () => {
    const person = await withTotp()
    const codes = await recoveryCodes(t, person.token, person.seed)
    const [first = '', second = ''] = codes
    const challenge = await beginSignIn(t, person)
    const replies = await Promise.all([first, second].map((code) => complete(challenge, 'recovery_code', code)))
    assert.deepEqual(replies.map((reply) => reply.status).sort(), [200, 401])
    const [{ unused } = { unused: 0 }] = await t.sql(
      'select count(*)::int as unused from recovery_codes where account_id = $1 and used_at is null',
      [person.accountId],
    )
    assert.equal(unused, 9)
  })

  test("401 for another person's code", async () => {
    const [one, other] = [await withTotp(), await withTotp()]
    const reply = await complete(await beginSignIn(t, one), 'totp', nextCode(t, other.seed))
    assert.equal(reply.body.code, 'auth.second_factor_wrong')
    const codes = await recoveryCodes(t, other.token, other.seed)
    const recovery = await complete(await beginSignIn(t, one), 'recovery_code', codes[0] ?? '')
    assert.equal(recovery.body.code, 'auth.second_factor_wrong')
  })

  test('422 for the password as a second factor, a missing code and a malformed challenge', async () => {
    const challenge = await beginSignIn(t, await withTotp())
    for (const body of [
      { challenge, method: 'password', password: 'correct horse' },
      { challenge, method: 'totp' },
      { challenge, method: 'passkey' },
      { challenge: 'x', method: 'totp', code: '123456' },
      { method: 'totp', code: '123456' },
      { challenge, method: 'totp', code: 123456 },
    ]) {
      const reply = await t.call('POST', `${auth}/login/second-factor`, { body })
      assert.equal(reply.status, 422, reply.text)
    }
  })
})
