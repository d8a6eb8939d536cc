import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { hashSync } from '@node-rs/bcrypt'
import pg from 'pg'
import { type App, createApp } from '../server/src/app.ts'
import type { Deferral } from '../server/src/identity/accounts/deferred-work.ts'
import { createPasswords, type Passwords } from '../server/src/identity/accounts/passwords.ts'
import { newId } from '../server/src/platform/ids.ts'
import { createLog } from '../server/src/platform/log.ts'
import { cloneDatabase, createFakeClock, secretKey, testConfig } from '../server/test/harness.ts'
import { mannWhitney, signedRank } from './rank-tests.ts'
import { share } from './share.ts'

// The time of a refusal must not reveal whether an address has an account. Hashing takes a millisecond here instead of a quarter
// of a second, so that any other difference stands out more and 1 800 sign-ins take 20 seconds, and half as many 10.
const cost = 4
const pairs = share >= 1 ? 800 : 400
const warmUp = 100

/**
 * Chance alone exceeds this once in a thousand samples (two-sided normal). The measurement is then repeated with other accounts,
 * and a difference counts as found if the same statistic exceeds it again on the same side. By chance that happens once in two
 * million runs, and for both statistics at most once in a million; a real difference shows again.
 */
const suspicious = 3.3

/**
 * The difference planted below, which 70 pairs find: one tick of sign-in.ts. Refusals are sent at multiples of a tick, so a
 * difference of a tick moves every reply, and a smaller one only those that it pushes over a tick, which is the purpose of the
 * ticks. Planted in the same way, with 400 pairs on a busy machine of 2 cores, 4 ms gave signed ranks of z = 10.1 and 9.1, 1 ms of
 * 3.5 and 4.4, and 0.5 ms of -0.4. z grows with the root of the number of pairs, so 800 give 5.0 to 6.2 for 1 ms, and exceed the
 * limit twice in a row with a probability of 0.90 to 0.996. Smaller differences may not be found, and none if all replies fall
 * into the middle of a tick.
 */
const plantedMs = 10

interface Timing {
  /** Milliseconds of each refusal, pair by pair. */
  readonly known: readonly number[]
  readonly unknown: readonly number[]
}

async function startApp(
  t: TestContext,
  passwords: Passwords,
  deferral?: Deferral,
): Promise<{ app: App; sql: pg.Client }> {
  const database = await cloneDatabase()
  const sql = new pg.Client({ ...database.connection, user: 'postgres' })
  await sql.connect()
  const app = await createApp({
    // Letters are written, and none is sent: that is a worker's task.
    config: testConfig({ ROLE: 'api', SMTP_URL: 'smtp://127.0.0.1:9', MAIL_FROM: 'HITL <hitl@example.com>' }),
    secretKey,
    connection: database.connection,
    log: createLog('silent', false),
    clock: createFakeClock(),
    passwords,
    ...(deferral && { deferral }),
  })
  t.after(async () => {
    await sql.end()
    await app.stop()
    await database.drop()
  })
  await app.identity.people.ensureOrganization()
  return { app, sql }
}

let addressesMade = 100_000

/** New addresses of the same length, with an account for a random half of them: nothing else distinguishes them. */
async function addAccounts(
  sql: pg.Client,
  count: number,
  cost: number,
): Promise<readonly (readonly [string, string])[]> {
  const numbers = Array.from({ length: count * 2 }, () => (addressesMade += 1))
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

let places = 0

/** Signs in to both addresses of each pair with a wrong password, in random order, each from a network of its own. */
async function timeRefusals(
  app: App,
  addresses: readonly (readonly [string, string])[],
  warmUp: number,
): Promise<Timing> {
  const refuse = async (username: string): Promise<number> => {
    places += 1
    // Failures of one network do not slow down others here; another test covers that.
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

interface Verdict {
  /** The statistics that distinguish known from unknown addresses in the first sample and again in the second. */
  readonly found: readonly string[]
  /** The z values of the first sample, and of both. */
  readonly timing: Timing
  readonly figures: string
}

/** Tries to distinguish known from unknown addresses by the time of their refusals. */
async function tellApart(measure: () => Promise<Timing>): Promise<Verdict> {
  const statistics = (timing: Timing) => [
    ['signed rank', signedRank(differences(timing))] as const,
    ['Mann-Whitney', mannWhitney(timing.known, timing.unknown)] as const,
  ]
  const timing = await measure()
  const first = statistics(timing)
  const figures = (all: typeof first) => all.map(([name, z]) => `${name} z = ${z.toFixed(2)}`).join(', ')
  const told =
    `${figures(first)}; medians: known ${median(timing.known).toFixed(3)} ms, unknown ` +
    `${median(timing.unknown).toFixed(3)} ms, their difference ${median(differences(timing)).toFixed(4)} ms`
  if (first.every(([, z]) => Math.abs(z) < suspicious)) return { found: [], timing, figures: told }
  const second = statistics(await measure())
  const found = first.filter(
    ([, z], at) => Math.abs(z) >= suspicious && (second[at]?.[1] ?? 0) * Math.sign(z) >= suspicious,
  )
  return { found: found.map(([name]) => name), timing, figures: `${told}; again: ${figures(second)}` }
}

describe('the time of a refused sign-in', () => {
  test(`over ${pairs} pairs of a known and an unknown address no rank test finds a difference`, async (t) => {
    const { app, sql } = await startApp(t, createPasswords({ cost }))
    const { found, timing, figures } = await tellApart(async () =>
      timeRefusals(app, await addAccounts(sql, pairs + warmUp, cost), warmUp),
    )
    const told = differences(timing)
    assert.equal(told.length, pairs)
    t.diagnostic(figures)
    assert.deepEqual(found, [], figures)
    // If it does not matter which of a pair is known, random signs hardly ever exceed the limit.
    const alarms = Array.from({ length: 400 }, () =>
      Math.abs(signedRank(told.map((one) => (Math.random() < 0.5 ? one : -one)))),
    ).filter((z) => z > 2.58)
    // One in a hundred is expected, so four of 400; twenty would come once in ten million runs.
    assert.ok(alarms.length < 20, `${alarms.length} of 400`)
  })

  test(`a service that takes ${plantedMs} ms longer for known addresses is found out by 70 pairs`, async (t) => {
    const honest = createPasswords({ cost })
    const slower: Passwords = {
      ...honest,
      verify: async (password, hash, turn, around) => {
        const matches = await honest.verify(password, hash, turn, around)
        if (hash !== null) await delay(plantedMs)
        return matches
      },
    }
    await assertFoundOut(t, slower, cost)
  })

  test('a service that hashes only for known addresses is found out by 70 pairs', async (t) => {
    // 16 ms for a hash, far less than in production.
    const honest = createPasswords({ cost: 8 })
    const hasty: Passwords = {
      ...honest,
      verify: async (password, hash, turn, around = (work) => work()) =>
        hash === null ? around(async () => false) : honest.verify(password, hash, turn, around),
    }
    await assertFoundOut(t, hasty, 8)
  })
})

describe('the time of a forgotten password', () => {
  // Production waits 200 to 1 000 ms and replies at multiples of 1 250, so work of up to 250 ms does not show. Here it is 100 ms,
  // which eight pieces of work one after the other, each a few milliseconds long, do not reach. With a tick of 1 ms the same test
  // finds known addresses 2 to 5 ms slower: z = 2.1 to 4.8.
  const deferral: Deferral = { leastMs: 20, mostMs: 100, tickMs: 200 }
  const atOnce = 8

  const timeLinks = async (app: App, addresses: readonly (readonly [string, string])[]): Promise<Timing> => {
    const calls = shuffled(
      addresses.flatMap(([registered, foreign]) => [
        { email: registered, known: true },
        { email: foreign, known: false },
      ]),
    )
    const timing = { known: [] as number[], unknown: [] as number[] }
    const forgot = async ({ email, known }: (typeof calls)[number]) => {
      places += 1
      const remoteAddress = `12.${(places >> 16) & 255}.${(places >> 8) & 255}.${places & 255}`
      const began = performance.now()
      const reply = await app.http.inject({
        method: 'POST',
        url: '/api/v1/auth/password/forgot',
        payload: { email },
        remoteAddress,
      })
      timing[known ? 'known' : 'unknown'].push(performance.now() - began)
      assert.equal(reply.statusCode, 202, reply.body)
    }
    for (let from = 0; from < calls.length; from += atOnce) {
      await Promise.all(calls.slice(from, from + atOnce).map(forgot))
    }
    return timing
  }

  test('over 100 pairs of a known and an unknown address no rank test finds a difference', async (t) => {
    const { app, sql } = await startApp(t, createPasswords({ cost }), deferral)
    const { found, figures } = await tellApart(async () => timeLinks(app, await addAccounts(sql, 100, cost)))
    t.diagnostic(figures)
    assert.deepEqual(found, [], figures)
    const letters = await sql.query('select count(*)::int as count from letters')
    assert.ok(letters.rows[0].count >= 100, 'a known address gets its letter')
  })
})

/** Asserts that the measurement above finds the difference that these passwords make, by either statistic. */
async function assertFoundOut(t: TestContext, passwords: Passwords, cost: number): Promise<void> {
  const { app, sql } = await startApp(t, passwords)
  const told: string[] = []
  // What else runs on a busy machine, six times as long as the difference, may hide it from 70 pairs: twice more.
  for (let turn = 0; turn < 3; turn += 1) {
    const { found, figures } = await tellApart(async () => timeRefusals(app, await addAccounts(sql, 75, cost), 5))
    t.diagnostic(figures)
    if (found.length === 2) return
    told.push(figures)
  }
  assert.fail(told.join('\n'))
}

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

  test('find nothing in equal or empty samples', () => {
    assert.equal(signedRank([0, 0, 0]), 0)
    assert.equal(signedRank([]), 0)
    assert.equal(mannWhitney([1, 1], [1, 1]), 0)
  })
})
