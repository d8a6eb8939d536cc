import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { hashSync } from '@node-rs/bcrypt'
import pg from 'pg'
import { type App, createApp } from '../../src/app.ts'
import { createPasswords, type Passwords } from '../../src/identity/people/passwords.ts'
import { newId } from '../../src/platform/ids.ts'
import { createLog } from '../../src/platform/log.ts'
import { cloneDatabase, createFakeClock, secretKey, testConfig } from '../harness.ts'
import { mannWhitney, signedRank } from './rank-tests.ts'

// Whether an address has an account must not be told by how long a refusal takes. Hashing takes a millisecond here instead
// of a quarter of a second: whatever else differs would stand out the more, and 4 000 sign-ins are done in half a minute.
const cost = 4
const pairs = 2_000
const warmUp = 100

/**
 * Chance alone goes beyond this once in 140 000 times (two-sided normal); both tests together, which ask the same question,
 * at most once in 70 000 runs. On an idle machine of 2 cores a difference of 0.08 ms is found: a three-thousandth of what a
 * sign-in takes in use, and less than its hashing varies by itself. (A row that is found takes PostgreSQL some 0.02 ms longer
 * than one that is not.)
 */
const beyondChance = 4.5

interface Timing {
  /** Milliseconds of each refusal, pair by pair. */
  readonly known: readonly number[]
  readonly unknown: readonly number[]
}

async function startApp(t: TestContext, passwords: Passwords): Promise<{ app: App; sql: pg.Client }> {
  const database = await cloneDatabase()
  const sql = new pg.Client({ ...database.connection, user: 'postgres' })
  await sql.connect()
  const app = await createApp({
    config: testConfig({ ROLE: 'api' }),
    secretKey,
    connection: database.connection,
    log: createLog('silent', false),
    clock: createFakeClock(),
    passwords,
  })
  t.after(async () => {
    await sql.end()
    await app.stop()
    await database.drop()
  })
  await app.identity.people.ensureOrganization()
  return { app, sql }
}

/** Addresses of one length, and an account for every other one, at random: nothing else tells them apart. */
async function addAccounts(
  sql: pg.Client,
  count: number,
  cost: number,
): Promise<readonly (readonly [string, string])[]> {
  const numbers = Array.from({ length: count * 2 }, (_, at) => String(at).padStart(6, '0'))
  const addresses = shuffled(numbers).map((number) => `person-${number}@example.com`)
  const known = addresses.slice(0, count)
  await sql.query(
    `with account as (
       insert into accounts (id, email, email_key, password_hash, created_at, updated_at)
       select id, email, email, $2, now(), now() from unnest($1::text[], $3::uuid[]) as given(email, id)
       returning id, email)
     insert into users (organization_id, id, account_id, email, email_key, role, created_at, updated_at)
     select (select organization_id from organizations limit 1), id, id, email, email, 'reviewer', now(), now()
     from account`,
    [known, hashSync('the right password', { cost }), known.map(newId)],
  )
  await sql.query('analyze')
  return known.map((address, at) => [address, addresses[count + at] ?? ''])
}

/** Signs in with a wrong password to one address of each pair after the other, in random order, each from a place of its own. */
async function timeRefusals(
  app: App,
  addresses: readonly (readonly [string, string])[],
  warmUp: number,
): Promise<Timing> {
  let places = 0
  const refuse = async (username: string): Promise<number> => {
    places += 1
    // Nobody's failures slow down anybody else's here: that is another test's subject.
    const remoteAddress = `11.${(places >> 16) & 255}.${(places >> 8) & 255}.${places & 255}`
    const payload = { username, password: 'the wrong password' }
    const began = performance.now()
    const reply = await app.http.inject({ method: 'POST', url: '/api/v1/auth/login', payload, remoteAddress })
    const took = performance.now() - began
    assert.equal(reply.statusCode, 401, reply.body)
    return took
  }
  const known: number[] = []
  const unknown: number[] = []
  for (const [at, [registered, foreign]] of addresses.entries()) {
    const times = { registered: 0, foreign: 0 }
    const order = Math.random() < 0.5 ? (['registered', 'foreign'] as const) : (['foreign', 'registered'] as const)
    for (const which of order) times[which] = await refuse(which === 'registered' ? registered : foreign)
    if (at < warmUp) continue
    known.push(times.registered)
    unknown.push(times.foreign)
  }
  return { known, unknown }
}

const differences = ({ known, unknown }: Timing) => known.map((time, at) => time - (unknown[at] ?? 0))

function shuffled<T>(values: readonly T[]): readonly T[] {
  return values
    .map((value) => ({ value, key: Math.random() }))
    .sort((one, other) => one.key - other.key)
    .map(({ value }) => value)
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

describe('the time of a refused sign-in', () => {
  test('2 000 pairs of a known and an unknown address: no rank test tells them apart', async (t) => {
    const { app, sql } = await startApp(t, createPasswords({ cost }))
    const timing = await timeRefusals(app, await addAccounts(sql, pairs + warmUp, cost), warmUp)
    const told = differences(timing)
    assert.equal(told.length, pairs)
    const [paired, apart] = [signedRank(told), mannWhitney(timing.known, timing.unknown)]
    const figures =
      `signed rank z = ${paired.toFixed(2)}, Mann-Whitney z = ${apart.toFixed(2)}; medians: known ` +
      `${median(timing.known).toFixed(3)} ms, unknown ${median(timing.unknown).toFixed(3)} ms, ` +
      `their difference ${median(told).toFixed(4)} ms`
    t.diagnostic(figures)
    assert.ok(Math.abs(paired) < beyondChance && Math.abs(apart) < beyondChance, figures)

    // The same samples, with a difference planted in them, are told apart: the test above could have failed.
    const planted = timing.known.map((time) => time * 1.2)
    const plantedMs = (median(timing.known) * 0.2).toFixed(3)
    assert.ok(signedRank(differences({ ...timing, known: planted })) > beyondChance, `${plantedMs} ms, paired`)
    assert.ok(mannWhitney(planted, timing.unknown) > beyondChance, `${plantedMs} ms`)
    // Whichever of a pair was the known one must not matter: with the signs drawn anew, hardly any draw goes beyond chance.
    const alarms = Array.from({ length: 400 }, () =>
      Math.abs(signedRank(told.map((one) => (Math.random() < 0.5 ? one : -one)))),
    ).filter((z) => z > 2.58)
    // One in a hundred is expected, four of 400; twenty would come once in ten million runs.
    assert.ok(alarms.length < 20, `${alarms.length} of 400`)
  })

  test('a service that hashes for known addresses only is found out by 100 pairs', async (t) => {
    // 16 ms a hash: far less than in use.
    const honest = createPasswords({ cost: 8 })
    const hasty: Passwords = {
      ...honest,
      verify: async (password, hash, turn, around = (work) => work()) =>
        hash === null ? around(async () => false) : honest.verify(password, hash, turn, around),
    }
    const { app, sql } = await startApp(t, hasty)
    const timing = await timeRefusals(app, await addAccounts(sql, 110, 8), 10)
    assert.ok(signedRank(differences(timing)) > beyondChance)
    assert.ok(mannWhitney(timing.known, timing.unknown) > beyondChance)
  })
})

describe('the rank tests', () => {
  test('give the textbook values', () => {
    // Positive ranks 1, 2, 3 and 5 of 1 to 5: 11, expected 7.5, variance 5 * 6 * 11 / 24.
    assert.ok(Math.abs(signedRank([1, 2, 3, -4, 5]) - 3.5 / Math.sqrt(13.75)) < 1e-12)
    // A tie of two shares rank 1.5, zeros are left out: 1.5 + 3 = 4.5 of 6, variance 3 * 4 * 7 / 24 - 6 / 48.
    assert.ok(Math.abs(signedRank([0, 1, -1, 2]) - (4.5 - 3) / Math.sqrt(3.5 - 0.125)) < 1e-12)
    // Ranks 3, 5, 6 of 6: 14, expected 10.5, variance 3 * 3 / 12 * 7.
    assert.ok(Math.abs(mannWhitney([3, 5, 6], [1, 2, 4]) - 3.5 / Math.sqrt(5.25)) < 1e-12)
    // Ranks 1.5 and 3.5 against 1.5 and 3.5.
    assert.equal(mannWhitney([1, 2], [1, 2]), 0)
  })

  test('are silent about samples that are the same, and about none', () => {
    assert.equal(signedRank([0, 0, 0]), 0)
    assert.equal(signedRank([]), 0)
    assert.equal(mannWhitney([1, 1], [1, 1]), 0)
  })
})
