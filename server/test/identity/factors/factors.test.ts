import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import type { Scope } from '../../../src/platform/database/db.ts'
import { startTestApp } from '../../harness.ts'
import { codeAt } from './authenticator-app.ts'
import {
  addTotp,
  auth,
  beginSignIn,
  eventsOf,
  newPerson,
  newSession,
  nextCode,
  recoveryCodes,
  travelling,
  withStepUp,
} from './people.ts'

let t: ReturnType<typeof travelling>
before(async () => {
  t = travelling(await startTestApp({ environment: { TRUSTED_PROXIES: '127.0.0.1/32' } }))
})
beforeEach(() => t.move())
after(() => t.stop())

const factors = async (as: string) => (await t.call('GET', `${auth}/factors`, { as })).body
const begin = async (as: string) => {
  const reply = await t.call('POST', `${auth}/factors/totp`, { as })
  assert.equal(reply.status, 201, reply.text)
  return reply.body as { id: string; secret: string; uri: string; expires_at: string }
}
const confirm = (as: string, id: string, code: string) =>
  t.call('POST', `${auth}/factors/totp/${id}/confirm`, { as, body: { code } })
const now = (seed: string) => codeAt(seed, t.clock.now())

describe('adding an authenticator app', () => {
  test('201 with a secret that is shown once; the app counts as a factor after its first code', async () => {
    const person = await newPerson(t)
    assert.deepEqual(await factors(person.token), {
      second_factor: false,
      totp: null,
      passkeys: [],
      recovery_codes: null,
    })
    const begun = await begin(person.token)
    assert.match(begun.secret, /^[A-Z2-7]{32}$/)
    const uri = new URL(begun.uri)
    assert.equal(uri.searchParams.get('secret'), begun.secret)
    assert.match(decodeURIComponent(uri.pathname), new RegExp(`:${person.email}$`))
    assert.equal(begun.expires_at, new Date(t.clock.now().getTime() + 600_000).toISOString())
    assert.equal((await factors(person.token)).second_factor, false)

    const confirmed = await confirm(person.token, begun.id, now(begun.secret))
    assert.equal(confirmed.status, 200, confirmed.text)
    const list = await t.call('GET', `${auth}/factors`, { as: person.token })
    assert.equal(list.body.second_factor, true)
    assert.equal(list.body.totp.id, begun.id)
    assert.ok(!list.text.includes(begun.secret))

    const events = await eventsOf(t, person)
    assert.deepEqual(
      events.map((event) => event.kind),
      ['totp.begun', 'totp.confirmed'],
    )
    assert.deepEqual(events[1]?.after, { factor_id: begun.id, assurance: events[0]?.after.assurance })
  })

  test('422 totp.code_wrong for a wrong first code, and the right one still confirms', async () => {
    const person = await newPerson(t)
    const { id, secret } = await begin(person.token)
    const wrong = await confirm(person.token, id, now(secret) === '000000' ? '000001' : '000000')
    assert.equal(wrong.status, 422)
    assert.equal(wrong.body.code, 'totp.code_wrong')
    assert.equal((await factors(person.token)).second_factor, false)
    assert.equal((await confirm(person.token, id, now(secret))).status, 200)
    const kinds = (await eventsOf(t, person)).map((event) => event.kind)
    assert.deepEqual(kinds, ['totp.begun', 'totp.refused', 'totp.confirmed'])
  })

  test('404 for an app that was not begun, was begun again, is too late, already confirmed, or another person’s', async () => {
    const [person, other] = [await newPerson(t), await newPerson(t)]
    const first = await begin(person.token)
    const second = await begin(person.token)
    for (const [name, as, { id, secret }] of [
      ['begun anew', person.token, first],
      ["another's", other.token, second],
      ['never begun', person.token, { id: person.id, secret: second.secret }],
    ] as const) {
      const reply = await confirm(as, id, now(secret))
      assert.equal(reply.status, 404, name)
      assert.equal(reply.body.code, 'totp.not_begun', name)
    }
    assert.equal((await confirm(person.token, second.id.toUpperCase(), now(second.secret))).status, 200)
    assert.equal((await confirm(person.token, second.id, nextCode(t, second.secret))).status, 404)
    const late = await begin(other.token)
    t.clock.advance(600_000)
    assert.equal((await confirm(other.token, late.id, now(late.secret))).status, 404)
  })

  test('two first codes at once confirm once', async () => {
    const person = await newPerson(t)
    const { id, secret } = await begin(person.token)
    const replies = await Promise.all([1, 2, 3].map(() => confirm(person.token, id, now(secret))))
    assert.deepEqual(replies.map((reply) => reply.status).sort(), [200, 404, 404])
  })

  test('a new app replaces the old one, which works until then', async () => {
    const person = await newPerson(t)
    const old = await addTotp(t, person.token)
    const proof = { method: 'totp', code: nextCode(t, old.seed) }
    const begun = await withStepUp(t, person.token, proof, 'POST', `${auth}/factors/totp`)
    assert.equal(begun.status, 201, begun.text)
    const complete = async (seed: string) =>
      t.call('POST', `${auth}/login/second-factor`, {
        body: { challenge: await beginSignIn(t, person), method: 'totp', code: nextCode(t, seed) },
      })
    assert.equal((await complete(old.seed)).status, 200)
    assert.equal((await confirm(person.token, begun.body.id, nextCode(t, begun.body.secret))).status, 200)
    assert.equal((await complete(old.seed)).status, 401)
    assert.equal((await complete(begun.body.secret)).status, 200)
    const event = (await eventsOf(t, person)).findLast(({ kind }) => kind === 'totp.confirmed')
    assert.deepEqual(event?.before, { factor_id: old.id })
    assert.equal(event?.after.assurance.method, 'totp')
  })

  test('its seed is nowhere in the clear', async () => {
    const person = await newPerson(t)
    const { seed } = await addTotp(t, person.token)
    const [row] = await t.sql('select seed, row_to_json(f)::text as all from totp_factors f where account_id = $1', [
      person.accountId,
    ])
    const stored = row?.seed as Buffer
    assert.ok(!stored.includes(seed) && !String(row?.all).includes(seed))
    assert.ok(!JSON.stringify(await eventsOf(t, person)).includes(seed))
    // Encrypted for its own row: another person's seed in its place does not decrypt.
    const other = await newPerson(t)
    await addTotp(t, other.token)
    await t.sql('update totp_factors set seed = $1 where account_id = $2', [stored, other.accountId])
    const reply = await t.call('POST', `${auth}/login/second-factor`, {
      body: { challenge: await beginSignIn(t, other), method: 'totp', code: nextCode(t, seed) },
    })
    assert.equal(reply.status, 500)
  })
})

test('a seed is re-encrypted under new keys, and its codes still work', async () => {
  const person = await newPerson(t)
  const { seed } = await addTotp(t, person.token)
  const sealed = async () =>
    (await t.sql('select seed from totp_factors where account_id = $1', [person.accountId]))[0]?.seed
  const before = await sealed()
  const report = await t.app.rewrap({ rotateDataKeys: true, settleMs: 0 })
  // One seed was moved to another row above.
  assert.ok(report.values.resealed > 0 && report.values.unreadable <= 1, JSON.stringify(report))
  assert.notDeepEqual(await sealed(), before)
  const reply = await t.call('POST', `${auth}/login/second-factor`, {
    body: { challenge: await beginSignIn(t, person), method: 'totp', code: nextCode(t, seed) },
  })
  assert.equal(reply.status, 200, reply.text)
})

describe('removing an authenticator app', () => {
  test('403 without a step-up, 204 with one; then the password is enough again', async () => {
    const person = await newPerson(t)
    const { id, seed } = await addTotp(t, person.token)
    const path = `${auth}/factors/totp/${id}`
    assert.equal((await t.call('DELETE', path, { as: person.token })).status, 403)
    const removed = await withStepUp(t, person.token, { method: 'totp', code: nextCode(t, seed) }, 'DELETE', path)
    assert.equal(removed.status, 204, removed.text)
    assert.equal((await factors(person.token)).second_factor, false)
    assert.equal(await t.app.identity.factors.signIn.secondFactorNeeded(person.accountId), false)
    const event = (await eventsOf(t, person)).at(-1)
    assert.equal(event?.kind, 'totp.removed')
    assert.equal(event?.after.assurance.method, 'totp')
    assert.equal((await t.call('DELETE', path, { as: await newSession(t, person) })).status, 404)
  })

  test('recovery codes are removed with the last factor and do not come back with the next', async () => {
    const person = await newPerson(t)
    const { id, seed } = await addTotp(t, person.token)
    const [code = ''] = await recoveryCodes(t, person.token, seed)
    const proof = { method: 'recovery_code', code }
    const removed = await withStepUp(t, person.token, proof, 'DELETE', `${auth}/factors/totp/${id}`)
    assert.equal(removed.status, 204, removed.text)
    assert.equal((await factors(person.token)).recovery_codes, null)
    assert.equal((await eventsOf(t, person)).at(-1)?.after.recovery_codes_voided, 10)
    await addTotp(t, await newSession(t, person))
    assert.equal((await factors(person.token)).recovery_codes, null)
  })
})

describe('POST /auth/factors/recovery-codes', () => {
  test('409 without a factor that they could replace', async () => {
    const reply = await t.call('POST', `${auth}/factors/recovery-codes`, { as: (await newPerson(t)).token })
    assert.equal(reply.status, 409)
    assert.equal(reply.body.code, 'recovery_codes.no_factor')
  })

  test('only hashes are stored, and none is in an event', async () => {
    const person = await newPerson(t)
    const { seed } = await addTotp(t, person.token)
    const codes = await recoveryCodes(t, person.token, seed)
    const stored = JSON.stringify([
      await t.sql('select row_to_json(c)::text from recovery_codes c where account_id = $1', [person.accountId]),
      await eventsOf(t, person),
    ])
    for (const code of codes) assert.ok(!stored.includes(code) && !stored.includes(code.replaceAll('-', '')))
  })
})

test('404, 401 and 403: people can see only their own factors', async () => {
  const [person, other] = [await newPerson(t), await newPerson(t)]
  const { id } = await addTotp(t, person.token)
  assert.equal((await t.call('DELETE', `${auth}/factors/totp/${id}`, { as: other.token })).status, 404)
  assert.equal((await factors(other.token)).totp, null)
  assert.equal((await t.call('GET', `${auth}/factors`)).status, 401)
  assert.equal((await t.call('GET', `${auth}/factors`, { as: t.apiKey })).status, 403)
})

describe('PostgreSQL itself', () => {
  test("shows no query another person's factors", async () => {
    const [person, other] = [await newPerson(t), await newPerson(t)]
    const { seed } = await addTotp(t, person.token)
    await recoveryCodes(t, person.token, seed)
    await beginSignIn(t, person)
    await t.sql(
      `insert into passkeys values ($1, gen_random_uuid(), '\\x01', '\\x01', 0, '{}', 'key', false, null, now(), now())`,
      [person.accountId],
    )
    await t.sql(
      `insert into passkey_challenges (challenge_hash, purpose, account_id, expires_at, created_at)
       values (sha256('x'), 'second_factor', $1, now() - interval '1 minute', now())`,
      [person.accountId],
    )
    const tables = [
      'totp_factors',
      'recovery_codes',
      'sign_in_challenges',
      'passkeys',
      'passkey_challenges',
      'step_ups',
    ]
    const elsewhere = '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a59'
    const scopes: readonly (readonly [Scope, readonly string[]])[] = [
      [{}, []],
      [{ accountId: other.accountId }, []],
      [{ organizationId: elsewhere }, []],
      [{ lookUp: person.accountId }, []],
      // Step-ups and unfinished sign-ins of members belong to the organization; a worker sees what it has to delete.
      [{ organizationId: t.organizationId }, ['step_ups', 'sign_in_challenges']],
      [{ accountId: person.accountId }, ['totp_factors', 'recovery_codes', 'sign_in_challenges', 'passkeys']],
      [{ worker: true }, ['passkey_challenges']],
      [{ resealer: true }, ['totp_factors']],
    ]
    for (const [scope, visible] of scopes) {
      for (const table of tables) {
        const statement = { name: `all_${table}`, text: `select to_jsonb(x) as row from ${table} x` }
        const rows = await t.app.db
          .within(scope)
          .execute<{ row: { account_id?: string; user_id?: string } }>(statement, [])
        const theirs = rows.filter(({ row }) => row.account_id === person.accountId || row.user_id === person.id)
        assert.equal(theirs.length > 0, visible.includes(table), `${JSON.stringify(scope)} ${table}`)
      }
    }
  })
})

test('what was not finished in time is deleted; used step-ups stay', async () => {
  const person = await newPerson(t)
  await begin(person.token)
  await beginSignIn(t, person)
  await t.app.identity.factors.signIn.passkeyOptions(null)
  const count = async () => {
    const [row] = await t.sql(
      `select (select count(*) from totp_factors where expires_at is not null)
         + (select count(*) from sign_in_challenges) + (select count(*) from passkey_challenges)
         + (select count(*) from step_ups where used_at is null) as n`,
    )
    return Number(row?.n)
  }
  const { sweep } = t.app.identity.factors
  while (await sweep()) {}
  const unfinished = await count()
  assert.ok(unfinished >= 3)
  // The database's clock counts too, and no test advances it.
  for (const table of ['totp_factors', 'sign_in_challenges', 'passkey_challenges', 'step_ups']) {
    await t.sql(`update ${table} set expires_at = expires_at - interval '2 hours' where expires_at is not null`)
  }
  assert.equal(await sweep(1), true, 'there may be more')
  assert.equal(await sweep(), false)
  assert.equal(await count(), 0)
  const used = await t.sql('select from step_ups where user_id = $1', [person.id])
  assert.equal(used.length, 1)
})
