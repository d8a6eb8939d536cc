import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type App, createApp } from '../../../src/app.ts'
import { createPasswords } from '../../../src/identity/accounts/passwords.ts'
import { createAttempts } from '../../../src/identity/throttle/attempts.ts'
import { createLog } from '../../../src/platform/log.ts'
import { secretKey, startTestApp, type TestApp, testConfig } from '../../harness.ts'

const environment = { TRUSTED_PROXIES: '127.0.0.1', RATE_LIMIT_ADDRESS: 'off' }
const right = { username: 'admin@example.com', password: 'password123' }

let t: TestApp
/** A second process on the same database. */
let other: App
before(async () => {
  t = await startTestApp({ environment })
  other = await createApp({
    config: testConfig(environment),
    secretKey,
    connection: t.connection,
    log: createLog('silent', false),
    clock: t.clock,
    passwords: createPasswords({ maxWaiting: 200, cost: 4 }),
  })
})
after(async () => {
  await other.stop()
  await t.stop()
})

async function signIn(app: App, body: { username: string; password: string }, from: string) {
  const reply = await app.http.inject({
    method: 'POST',
    url: '/api/v1/auth/login',
    headers: { 'x-forwarded-for': from },
    payload: body,
  })
  const { request_id: _, ...told } = reply.json()
  return { status: reply.statusCode, retryAfter: Number(reply.headers['retry-after']), told }
}

/** Writes failures of other callers into the table, without a call for each. */
async function failuresElsewhere(subject: string, networks: number): Promise<void> {
  const attempts = createAttempts(t.app.db, t.clock, secretKey)
  const from = Array.from(
    { length: networks },
    (_, index) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}/32`,
  )
  await Promise.allSettled(from.map((network) => attempts.before({ kind: 'password', subject, network })))
}

describe('wrong passwords at one account from one network', () => {
  test('429 auth.throttled with Retry-After after eleven, on every process, for known and unknown accounts alike', async () => {
    const seen = []
    for (const [username, from] of [
      ['reviewer@example.com', '192.0.2.1'],
      ['nobody@example.com', '192.0.2.2'],
    ] as const) {
      const replies = []
      for (let guess = 0; guess < 13; guess += 1) {
        const app = guess % 2 === 0 ? t.app : other
        replies.push(await signIn(app, { username, password: 'wrong password' }, from))
      }
      assert.deepEqual(
        replies.map(({ status }) => status),
        [...Array(11).fill(401), 429, 429],
      )
      assert.equal(replies[11]?.told.code, 'auth.throttled')
      assert.equal(replies[11]?.retryAfter, 1)
      seen.push(replies)
    }
    assert.deepEqual(seen[0], seen[1])
  })

  test('the wait is as long as announced, and then the right password works', async () => {
    const reviewer = { username: 'reviewer@example.com', password: 'password123' }
    assert.equal((await signIn(t.app, reviewer, '192.0.2.1')).status, 429)
    t.clock.advance(1_000)
    assert.equal((await signIn(other, reviewer, '192.0.2.1')).status, 200)
  })

  test('meanwhile the same account can sign in from another network', async () => {
    const guess = { username: 'somebody@example.com', password: 'wrong password' }
    for (let failure = 0; failure < 12; failure += 1) await signIn(t.app, guess, '192.0.2.50')
    assert.equal((await signIn(t.app, guess, '192.0.2.50')).status, 429)
    assert.equal((await signIn(t.app, guess, '192.0.2.51')).status, 401)
  })
})

test('60 wrong guesses at once over two processes: only eleven are tried', async () => {
  const guess = { username: 'race@example.com', password: 'wrong password' }
  const replies = await Promise.all(
    Array.from({ length: 60 }, (_, index) => signIn(index % 2 === 0 ? t.app : other, guess, '192.0.2.60')),
  )
  const count = (status: number) => replies.filter((reply) => reply.status === status).length
  assert.deepEqual([count(401), count(429)], [11, 49])
})

test('twenty right passwords at once are twenty sign-ins, not a burst of guesses', async () => {
  const replies = await Promise.all(
    Array.from({ length: 20 }, (_, index) => signIn(index % 2 === 0 ? t.app : other, right, '192.0.2.70')),
  )
  assert.deepEqual(new Set(replies.map(({ status }) => status)), new Set([200]))
})

describe('thousands of failures at an account from thousands of networks', () => {
  before(async () => {
    assert.equal((await signIn(t.app, right, '198.51.100.1')).status, 200)
    // Each network comes back when it is allowed, in waves of a minute.
    for (let wave = 0; wave < 8; wave += 1) {
      await failuresElsewhere(right.username, 500)
      t.clock.advance(60_000)
    }
    await failuresElsewhere(right.username, 4_000)
  })

  test('its owner signs in from a known network without any wait', async () => {
    for (const app of [t.app, other]) assert.equal((await signIn(app, right, '198.51.100.1')).status, 200)
  })

  test('its owner signs in from a new network within a minute, once, while the failures go on', async () => {
    const told = await signIn(t.app, right, '203.0.113.5')
    assert.equal(told.status, 429)
    assert.equal(told.retryAfter, 45)
    for (let part = 0; part < 3; part += 1) {
      t.clock.advance((told.retryAfter * 1_000) / 3)
      await failuresElsewhere(right.username, 500)
    }
    assert.equal((await signIn(other, right, '203.0.113.5')).status, 200)
    assert.equal((await signIn(t.app, right, '203.0.113.5')).status, 200, 'and is known there from now on')
  })

  test('a stranger from a new network has to wait too', async () => {
    const guess = { ...right, password: 'wrong password' }
    assert.equal((await signIn(t.app, guess, '203.0.113.66')).status, 429)
  })

  test('other accounts are not affected', async () => {
    const another = { username: 'another@example.com', password: 'wrong password' }
    assert.equal((await signIn(t.app, another, '203.0.113.77')).status, 401)
  })
})

test('one network at many accounts: 429 after 31, an IPv6 /64 being one', async () => {
  const statuses = []
  for (let account = 0; account < 33; account += 1) {
    const guess = { username: `spray${account}@example.com`, password: 'password1' }
    statuses.push(
      (await signIn(account % 2 === 0 ? t.app : other, guess, `2001:db8:5:5::${account.toString(16)}`)).status,
    )
  }
  assert.deepEqual(statuses, [...Array(31).fill(401), 429, 429])
  assert.equal(
    (await signIn(t.app, right, '2001:db8:5:6::1')).status,
    429,
    'this account waits in new places: see above',
  )
  const stranger = { username: 'x@example.com', password: 'x' }
  assert.equal((await signIn(t.app, stranger, '2001:db8:5:6::1')).status, 429, 'the /48 around it counts too')
  assert.equal((await signIn(t.app, stranger, '2001:db8:6:6::1')).status, 401)
})
