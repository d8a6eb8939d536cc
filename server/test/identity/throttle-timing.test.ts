import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type App, createApp } from '../../src/app.ts'
import { createPasswords } from '../../src/identity/people/passwords.ts'
import { createLog } from '../../src/platform/log.ts'
import { cloneDatabase, createFakeClock, type FakeClock, secretKey, testConfig } from '../harness.ts'

/** 1 ms instead of a quarter of a second: a difference that the work could hide shows all the more. */
const passwords = createPasswords({ cost: 4 })
const accounts = 20
const pairs = 2_000

let app: App
let clock: FakeClock
let drop: () => Promise<void>
before(async () => {
  const database = await cloneDatabase()
  drop = database.drop
  clock = createFakeClock()
  app = await createApp({
    config: testConfig({ RATE_LIMIT_ADDRESS: 'off' }),
    secretKey,
    connection: database.connection,
    log: createLog('silent', false),
    clock,
    passwords,
  })
  for (let index = 0; index < accounts; index += 1) {
    await app.identity.people.ensureUser(
      { email: `known${index}@example.com`, password: 'a right password' },
      'reviewer',
    )
  }
})
after(async () => {
  await app.stop()
  await drop()
})

async function timed(username: string): Promise<number> {
  const startedAt = process.hrtime.bigint()
  const reply = await app.http.inject({
    method: 'POST',
    url: '/api/v1/auth/login',
    payload: { username, password: 'a wrong password' },
  })
  const took = Number(process.hrtime.bigint() - startedAt)
  assert.equal(reply.statusCode, 401)
  return took
}

/** Wilcoxon's signed-rank test, as a normal score: which half of the pairs took longer, and how clearly. */
function signedRank(differences: readonly number[]): number {
  const ranked = [...differences].sort((a, b) => Math.abs(a) - Math.abs(b))
  const positive = ranked.reduce((sum, difference, index) => sum + (difference > 0 ? index + 1 : 0), 0)
  const n = ranked.length
  return (positive - (n * (n + 1)) / 4) / Math.sqrt((n * (n + 1) * (2 * n + 1)) / 24)
}

test('2 000 pairs of known and unknown accounts: a rank test finds no difference in time', async () => {
  const differences: number[] = []
  for (let pair = -200; pair < pairs; pair += 1) {
    // Earlier failures are forgotten: what is compared is the work, not the wait.
    clock.advance(7_200_000)
    const known = `known${(pair + 200) % accounts}@example.com`
    const unknown = `nobod${(pair + 200) % accounts}@example.com`
    const knownFirst = Math.random() < 0.5
    const first = await timed(knownFirst ? known : unknown)
    const second = await timed(knownFirst ? unknown : known)
    // The first ones warm up.
    if (pair >= 0) differences.push(knownFirst ? first - second : second - first)
  }
  const score = signedRank(differences)
  const median = differences.sort((a, b) => a - b)[pairs / 2] ?? 0
  // One run in a thousand passes 3.29 by chance.
  assert.ok(Math.abs(score) < 3.29, `score ${score}; a known account takes ${median / 1_000} µs more`)
})

test('the rank test finds a difference that is there', () => {
  let seed = 1
  const noise = (): number => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed / 2_147_483_647 - 0.5
  }
  const same = Array.from({ length: pairs }, () => noise() - noise())
  const slower = same.map((difference) => difference + 0.05)
  assert.ok(Math.abs(signedRank(same)) < 3.29)
  assert.ok(signedRank(slower) > 3.29)
})
