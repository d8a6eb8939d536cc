import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { digestOf } from '../../../src/identity/factors/step-up.ts'
import { inTransaction } from '../../../src/platform/database/db.ts'
import { eventually } from '../../eventually.ts'
import { startTestApp, type TestApp } from '../../harness.ts'
import { codeAt } from './authenticator-app.ts'
import {
  addTotp,
  auth,
  eventsOf,
  newPerson,
  newSession,
  nextCode,
  password,
  recoveryCodes,
  withStepUp,
} from './people.ts'

let t: TestApp
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())

/** A sensitive act that everyone may do as often as they like: it begins to add an authenticator app. */
const path = `${auth}/factors/totp`
const act = (as: string, stepUp?: string) =>
  t.call('POST', path, { as, ...(stepUp === undefined ? {} : { headers: { 'x-step-up': stepUp } }) })
const prove = (as: string, digest: string, proof: Readonly<Record<string, unknown>>) =>
  t.call('POST', `${auth}/step-up`, { as, body: { digest, ...proof } })
const minutes = (count: number) => t.clock.advance(count * 60_000)
const stepUpRow = async (id: string) => (await t.sql('select * from step_ups where id = $1', [id]))[0]

/** A person whose sign-in is too old to count, and the digest of the act. */
const stale = async () => {
  const person = await newPerson(t)
  minutes(11)
  const { body } = await act(person.token)
  return { ...person, digest: body.digest as string }
}
const earn = async (as: string, digest: string) => {
  const reply = await prove(as, digest, { method: 'password', password })
  assert.equal(reply.status, 200, reply.text)
  return reply.body.step_up as string
}

describe('a sensitive call by a person without a second factor', () => {
  test('201 within ten minutes of the sign-in, which is recorded as its step-up', async () => {
    const person = await newPerson(t)
    minutes(9)
    const reply = await act(person.token)
    assert.equal(reply.status, 201, reply.text)
    const [event] = await eventsOf(t, person)
    assert.equal(event?.kind, 'totp.begun')
    assert.equal(event?.after.assurance.method, 'sign_in')
    const row = await stepUpRow(event?.after.assurance.step_up_id)
    assert.equal(row?.user_id, person.id)
    assert.deepEqual(row?.digest, Buffer.from(String(event?.digest), 'hex'))
    assert.deepEqual(row?.used_at, t.clock.now())
    assert.equal(row?.token_hash, null)
  })

  test('403 auth.step_up_required after that, with the digest of the call and the methods', async () => {
    const person = await newPerson(t)
    minutes(10)
    const reply = await act(person.token)
    assert.equal(reply.status, 403)
    const digest = digestOf({
      organizationId: t.organizationId,
      userId: person.id,
      operation: 'beginAuthenticatorApp',
      method: 'POST',
      path,
      body: undefined,
    })
    assert.equal(reply.body.code, 'auth.step_up_required')
    assert.equal(reply.body.digest, digest.toString('hex'))
    assert.deepEqual(reply.body.methods, ['password'])
    assert.deepEqual(await eventsOf(t, person), [])
  })

  test('201 with the password, once; the event has the method', async () => {
    const person = await stale()
    const wrong = await prove(person.token, person.digest, { method: 'password', password: 'wrong horse' })
    assert.equal(wrong.status, 403)
    assert.equal(wrong.body.code, 'auth.step_up_refused')
    const granted = await prove(person.token, person.digest, { method: 'password', password })
    assert.equal(granted.status, 200, granted.text)
    assert.equal(granted.body.expires_at, new Date(t.clock.now().getTime() + 300_000).toISOString())
    assert.equal((await act(person.token, granted.body.step_up)).status, 201)
    const again = await act(person.token, granted.body.step_up)
    assert.equal(again.status, 403)
    assert.equal(again.body.code, 'auth.step_up_required')
    assert.equal(again.body.digest, person.digest)

    const events = await eventsOf(t, person)
    assert.deepEqual(
      events.map((event) => event.kind),
      ['step_up.refused', 'step_up.granted', 'totp.begun', 'step_up.refused'],
    )
    const [refused, given, begun, unfit] = events
    assert.deepEqual(refused?.after, { method: 'password', reason: 'wrong' })
    assert.deepEqual(unfit?.after, { operation: 'beginAuthenticatorApp', reason: 'unfit' })
    for (const event of events) assert.equal(event.digest, person.digest)
    assert.equal(begun?.after.assurance.method, 'password')
    assert.equal(begun?.after.assurance.step_up_id, given?.after.step_up_id)
    assert.deepEqual((await stepUpRow(given?.after.step_up_id))?.used_at, t.clock.now())
  })

  test('403 for another person, another session, another call, and after five minutes', async () => {
    const [person, other] = [await newPerson(t), await newPerson(t)]
    const session = await newSession(t, person)
    minutes(11)
    const { digest } = (await act(person.token)).body
    const token = await earn(person.token, digest)
    assert.equal((await act(other.token, token)).status, 403, 'another person')
    assert.equal((await act(session, token)).status, 403, 'another session')
    const elsewhere = await t.call('POST', `${auth}/factors/passkeys/options`, {
      as: person.token,
      headers: { 'x-step-up': token },
    })
    assert.equal(elsewhere.status, 403, 'another operation')
    const query = await t.call('POST', `${path}/`, { as: person.token, headers: { 'x-step-up': token } })
    assert.equal(query.status, 403, 'another address')
    const bodied = await t.call('POST', path, { as: person.token, body: {}, headers: { 'x-step-up': token } })
    assert.equal(bodied.status, 403, 'another body')
    assert.equal((await act(person.token, `${token}x`)).status, 403, 'another token')
    assert.equal((await act(person.token, token)).status, 201, 'this very call')
    const late = await earn(person.token, digest)
    minutes(5)
    assert.equal((await act(person.token, late)).status, 403, 'too late')
  })

  test('only its SHA-256 is stored', async () => {
    const person = await stale()
    const token = await earn(person.token, person.digest)
    const [row] = await t.sql('select row_to_json(s)::text as all, token_hash from step_ups s where user_id = $1', [
      person.id,
    ])
    assert.ok(!String(row?.all).includes(token))
    assert.deepEqual(row?.token_hash, createHash('sha256').update(token).digest())
  })

  test('of three calls at once with one token, one succeeds: 10 times', async () => {
    const person = await stale()
    for (let round = 0; round < 10; round += 1) {
      const token = await earn(person.token, person.digest)
      const replies = await Promise.all([1, 2, 3].map(() => act(person.token, token)))
      assert.deepEqual(replies.map((reply) => reply.status).sort(), [201, 403, 403])
    }
    const begun = (await eventsOf(t, person)).filter((event) => event.kind === 'totp.begun')
    assert.equal(begun.length, 10)
  })

  test('of two transactions with the same permit, the second finds it used', async () => {
    const person = await stale()
    const token = await earn(person.token, person.digest)
    const { db, identity } = t.app
    const [session] = await t.sql('select id from sessions where user_id = $1', [person.id])
    const { organizationId, id: userId, accountId } = person
    const principal = {
      kind: 'person',
      organizationId,
      userId,
      accountId,
      role: 'reviewer',
      sessionId: String(session?.id),
    } as const
    const begun = { operation: 'beginAuthenticatorApp', method: 'POST', path, body: undefined }
    const shown = { token, enrols: true, idempotencyKey: null }
    const demand = () => identity.factors.stepUps.demand({ principal, httpRequestId: 'test' }, begun, shown)
    const [one, other] = [await demand(), await demand()]
    let second: Promise<unknown> = Promise.resolve()
    await inTransaction(db, { organizationId }, async (tx) => {
      await one.use(tx)
      second = inTransaction(db, { organizationId }, (late) => other.use(late))
      second.catch(() => {})
      await eventually(
        'the other one waits',
        async () => (await t.sql('select from pg_locks where not granted')).length > 0,
      )
    })
    await assert.rejects(second, { status: 403, code: 'auth.step_up_required' })
  })

  test('a call that fails leaves the token unused', async () => {
    const person = await newPerson(t)
    minutes(11)
    const gone = `${auth}/factors/passkeys/${person.id}`
    const reply = await withStepUp(t, person.token, { method: 'password', password }, 'DELETE', gone)
    assert.equal(reply.status, 404)
    assert.deepEqual(await t.sql('select used_at from step_ups where user_id = $1', [person.id]), [{ used_at: null }])
  })

  test('403 for a fresh sign-in if the organization demands an explicit step-up', async () => {
    const person = await newPerson(t)
    await t.sql('update organizations set require_step_up = true')
    const reply = await act(person.token)
    const proven = await withStepUp(t, person.token, { method: 'password', password }, 'POST', path)
    await t.sql('update organizations set require_step_up = false')
    assert.equal(reply.status, 403)
    assert.equal(proven.status, 201, proven.text)
  })

  test('403 tells a person with neither password nor second factor to sign in again', async () => {
    const person = await newPerson(t)
    await t.sql('update accounts set password_hash = null where id = $1', [person.accountId])
    assert.equal((await act(person.token)).status, 201)
    minutes(11)
    const reply = await act(person.token)
    assert.equal(reply.status, 403)
    assert.deepEqual(reply.body.methods, [])
    assert.match(reply.body.detail, /Sign in again/)
    const tried = await prove(person.token, reply.body.digest, { method: 'password', password })
    assert.equal(tried.body.code, 'auth.step_up_method')
  })
})

describe('a sensitive call by a person with a second factor', () => {
  test('403 however fresh the sign-in; neither the password nor a token obtained with it helps', async () => {
    const person = await newPerson(t)
    minutes(11)
    const { body } = await act(person.token)
    const byPassword = await earn(person.token, body.digest)
    const fresh = { ...person, token: await newSession(t, person) }
    const { seed } = await addTotp(t, fresh.token)

    assert.equal((await act(fresh.token)).status, 403)
    assert.equal((await act(person.token, byPassword)).status, 403)
    const tried = await prove(fresh.token, body.digest, { method: 'password', password })
    assert.equal(tried.status, 403)
    assert.equal(tried.body.code, 'auth.step_up_method')
    assert.deepEqual(tried.body.methods, ['totp'])
    const proof = { method: 'totp', code: nextCode(t, seed) }
    assert.equal((await withStepUp(t, fresh.token, proof, 'POST', path)).status, 201)
  })

  test('a code works for one step-up, and the code that confirmed the app is used up', async () => {
    const person = await newPerson(t)
    const { seed } = await addTotp(t, person.token)
    const { digest } = (await act(person.token)).body
    const used = await prove(person.token, digest, { method: 'totp', code: codeAt(seed, t.clock.now()) })
    assert.equal(used.body.code, 'auth.step_up_refused')
    const code = nextCode(t, seed)
    assert.equal((await prove(person.token, digest, { method: 'totp', code })).status, 200)
    const again = await prove(person.token, digest, { method: 'totp', code })
    assert.equal(again.body.code, 'auth.step_up_refused')
    const reasons = (await eventsOf(t, person)).filter((event) => event.kind === 'step_up.refused')
    assert.deepEqual(
      reasons.map((event) => event.after),
      [
        { method: 'totp', reason: 'used' },
        { method: 'totp', reason: 'used' },
      ],
    )
  })

  test('an earlier code is refused after a later one was accepted', async () => {
    const person = await newPerson(t)
    const { seed } = await addTotp(t, person.token)
    const { digest } = (await act(person.token)).body
    t.clock.advance(60_000)
    const earlier = codeAt(seed, new Date(t.clock.now().getTime() - 30_000))
    const now = codeAt(seed, t.clock.now())
    assert.equal((await prove(person.token, digest, { method: 'totp', code: now })).status, 200)
    assert.equal((await prove(person.token, digest, { method: 'totp', code: earlier })).status, 403)
  })

  test('a code sent twice at once works once: 20 times', async () => {
    const person = await newPerson(t)
    const { seed } = await addTotp(t, person.token)
    const { digest } = (await act(person.token)).body
    for (let round = 0; round < 20; round += 1) {
      const body = { method: 'totp', code: nextCode(t, seed) }
      const replies = await Promise.all([1, 2, 3, 4].map(() => prove(person.token, digest, body)))
      assert.equal(replies.filter((reply) => reply.status === 200).length, 1, `round ${round}`)
    }
  })

  test('a recovery code works once, and new codes void it', async () => {
    const person = await newPerson(t)
    const { seed } = await addTotp(t, person.token)
    const codes = await recoveryCodes(t, person.token, seed)
    assert.equal(codes.length, 10)
    const { digest, methods } = (await act(person.token)).body
    assert.deepEqual(methods, ['totp', 'recovery_code'])
    const use = (code: string) => prove(person.token, digest, { method: 'recovery_code', code })
    const [first = '', second = '', third = ''] = codes
    const replies = await Promise.all([1, 2, 3].map(() => use(first)))
    assert.deepEqual(replies.map((reply) => reply.status).sort(), [200, 403, 403])
    assert.equal((await use(second.toLowerCase().replaceAll('-', ' '))).status, 200)
    for (const wrong of ['no code', third.slice(1), `${third}0`, '0000-0000-0000-0000-0000-0000']) {
      assert.equal((await use(wrong)).status, 403, wrong)
    }
    const newer = await recoveryCodes(t, person.token, seed)
    assert.equal((await use(third)).status, 403)
    assert.equal((await use(newer[0] ?? '')).status, 200)
    const list = await t.call('GET', `${auth}/factors`, { as: person.token })
    assert.equal(list.body.recovery_codes.remaining, 9)
    const stored = await t.sql('select encode(code_hash, $2) as hash from recovery_codes where account_id = $1', [
      person.accountId,
      'hex',
    ])
    assert.equal(stored.length, 10)
  })

  test('422 naming what the method needs', async () => {
    const person = await newPerson(t)
    const digest = '0'.repeat(64)
    for (const [method, field] of [
      ['totp', 'code'],
      ['recovery_code', 'code'],
      ['password', 'password'],
      ['passkey', 'assertion'],
    ]) {
      const reply = await prove(person.token, digest, { method })
      assert.equal(reply.status, 422, reply.text)
      assert.equal(reply.body.errors[0].path, field)
    }
    for (const wrong of ['', 'x', '0'.repeat(63), 'A'.repeat(64)]) {
      assert.equal((await prove(person.token, wrong, { method: 'totp', code: '123456' })).status, 422)
    }
    assert.equal((await prove(person.token, digest, { method: 'sms', code: '123456' })).status, 422)
  })

  test('403 for agents, 401 without a credential', async () => {
    const body = { digest: '0'.repeat(64), method: 'totp', code: '123456' }
    assert.equal((await t.call('POST', `${auth}/step-up`, { as: t.apiKey, body })).status, 403)
    assert.equal((await t.call('POST', `${auth}/step-up`, { body })).status, 401)
    assert.equal((await t.call('POST', path, { as: t.apiKey })).status, 403)
  })
})
