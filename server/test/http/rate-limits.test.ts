import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import pg from 'pg'
import { type App, createApp } from '../../src/app.ts'
import { applicationRole } from '../../src/platform/database/application-role.ts'
import { type Db, openDb } from '../../src/platform/database/db.ts'
import type { Lease } from '../../src/platform/limits/rate-limit.ts'
import { createRateLimitStore } from '../../src/platform/limits/rate-limit-store.ts'
import { createLog } from '../../src/platform/log.ts'
import { eventually } from '../eventually.ts'
import { cloneDatabase, secretKey, startTestApp, type TestApp, testConfig } from '../harness.ts'

/** Windows longer than any test. */
const environment = {
  RATE_LIMIT_KEY: '40/3000',
  RATE_LIMIT_PERSON: '300/3000',
  RATE_LIMIT_ADDRESS: '25/3000',
  TRUSTED_PROXIES: '127.0.0.1',
}

type Call = Readonly<{ url: string; headers: Readonly<Record<string, string>> }>
interface Told {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: Readonly<Record<string, unknown>>
}

async function ask(app: App, { url, headers }: Call): Promise<Told> {
  const reply = await app.http.inject({ url, headers })
  return { status: reply.statusCode, headers: reply.headers, body: reply.json() }
}

describe('two processes on one database', () => {
  let t: TestApp
  let other: App
  before(async () => {
    t = await startTestApp({ environment })
    other = await createApp({
      config: testConfig(environment),
      secretKey,
      connection: t.connection,
      log: createLog('silent', false),
      clock: t.clock,
    })
  })
  after(async () => {
    await other.stop()
    await t.stop()
  })

  const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

  /** Sends many more calls than allowed at once, alternating between the processes; then to each alone until it refuses. */
  async function storm(call: Call, limit: number): Promise<readonly Told[]> {
    const apps = [t.app, other]
    const replies = await Promise.all(
      Array.from({ length: limit + 100 }, (_, index) => ask(apps[index % 2] as App, call)),
    )
    for (const app of apps) {
      let last = await ask(app, call)
      for (replies.push(last); last.status !== 429; replies.push(last)) last = await ask(app, call)
    }
    return replies
  }

  for (const [name, what, limit, served, call] of [
    ['key', 'an API key', 40, 200, () => ({ url: '/api/v1/requests', headers: bearer(t.apiKey) })],
    ['person', 'a person', 300, 200, () => ({ url: '/api/v1/auth/me', headers: bearer(t.admin.token) })],
    ['address', 'a network without credentials', 25, 401, () => ({ url: '/api/v1/auth/me', headers: {} })],
    [
      'address',
      'a network with wrong ones',
      25,
      401,
      () => ({ url: '/api/v1/requests', headers: { ...bearer('hitl_x'), 'x-forwarded-for': '192.0.2.1' } }),
    ],
    [
      'address',
      'a network on public pages',
      25,
      200,
      () => ({ url: '/.well-known/jwks.json', headers: { 'x-forwarded-for': '192.0.2.2' } }),
    ],
    [
      'address',
      'a network that looks for what is there',
      25,
      404,
      () => ({ url: '/wp-login.php', headers: { 'x-forwarded-for': '192.0.2.3' } }),
    ],
  ] as const) {
    test(`${what}: exactly ${limit} calls, then 429 with Retry-After`, async () => {
      const replies = await storm(call(), limit)
      const allowed = replies.filter(({ status }) => status === served)
      const refused = replies.filter(({ status }) => status === 429)
      assert.equal(allowed.length, limit)
      assert.equal(allowed.length + refused.length, replies.length)
      for (const { headers } of replies) {
        assert.equal(headers['ratelimit-policy'], `"${name}";q=${limit};w=3000`)
        assert.match(String(headers.ratelimit), new RegExp(`^"${name}";r=\\d+;t=\\d+$`))
      }
      for (const { headers, body } of refused) {
        assert.equal(body.code, 'http.rate_limited')
        assert.match(String(body.detail), new RegExp(`${limit} in 3000 s`))
        const seconds = Number(headers['retry-after'])
        assert.ok(seconds > 2_900 && seconds <= 3_000)
        assert.equal(headers.ratelimit, `"${name}";r=0;t=${seconds}`)
      }
    })
  }

  test('a caller at the limit does not affect another key, person or network, or the load balancer', async () => {
    const anotherKey = await t.call('GET', '/api/v1/auth/me', { as: t.reviewer.token })
    assert.equal(anotherKey.status, 200)
    const elsewhere = { 'x-forwarded-for': '198.51.100.1' }
    assert.equal((await ask(t.app, { url: '/api/v1/auth/me', headers: elsewhere })).status, 401)
    for (const url of ['/health', '/readyz', '/livez', '/api/v1/health']) {
      const { status, headers } = await ask(t.app, { url, headers: {} })
      assert.equal(status, 200)
      assert.equal(headers.ratelimit, undefined)
    }
  })

  test('a caller with valid credentials is not affected by others in its network', async () => {
    assert.equal((await ask(t.app, { url: '/api/v1/auth/me', headers: {} })).status, 429)
    assert.equal((await t.call('GET', '/api/v1/auth/me', { as: t.reviewer.token })).status, 200)
  })

  for (const [width, address] of [
    ['/64', (n: number) => `2001:db8:7:7::${n.toString(16)}`],
    ['/56', (n: number) => `2001:db8:8:${n.toString(16)}::1`],
    ['/48', (n: number) => `2001:db8:9:${n.toString(16)}00::1`],
  ] as const) {
    test(`an IPv6 caller is counted by its ${width}, however it changes its address`, async () => {
      const from = (address: string) => ({ url: '/api/v1/auth/me', headers: { 'x-forwarded-for': address } })
      const replies = []
      for (let call = 1; call <= 30; call += 1) replies.push(await ask(t.app, from(address(call))))
      assert.equal(replies.filter(({ status }) => status === 401).length, 25)
      assert.equal(Number(/r=(\d+)/.exec(String(replies[24]?.headers.ratelimit))?.[1]), 0)
      assert.equal((await ask(t.app, from(address(1).replace('2001', '2003')))).status, 401)
    })
  }

  test('remaining counts down and is never more than what is left', async () => {
    const headers = { 'x-forwarded-for': '198.51.100.9' }
    const left: number[] = []
    for (let call = 0; call < 10; call += 1) {
      const reply = await ask(call % 2 === 0 ? t.app : other, { url: '/nothing', headers })
      left.push(Number(/r=(\d+)/.exec(String(reply.headers.ratelimit))?.[1]))
    }
    assert.deepEqual(left, [24, 23, 22, 21, 20, 19, 18, 17, 16, 15])
  })

  test('the table identifies no caller', async () => {
    const [row] = await t.sql(`select string_agg(r::text, ' ') as text, count(*)::int as n from rate_limits r`)
    assert.ok(Number(row?.n) > 5)
    assert.ok(!String(row?.text).includes(t.admin.id))
    assert.doesNotMatch(String(row?.text), /192\.0\.2|2001:db8/)
  })
})

test('calls are allowed again when the window is over', async (context) => {
  const t = await startTestApp({ environment: { RATE_LIMIT_KEY: '3/1' } })
  context.after(() => t.stop())
  const status = async () => (await t.call('GET', '/api/v1/requests', { as: t.apiKey })).status
  await eventually('the limit is reached', async () => (await status()) === 429)
  await eventually('it is open again', async () => (await status()) === 200)
})

test('off: no limit, and no headers about one', async (context) => {
  const off = { RATE_LIMIT_KEY: 'off', RATE_LIMIT_PERSON: 'off', RATE_LIMIT_ADDRESS: 'off' }
  const t = await startTestApp({ environment: off })
  context.after(() => t.stop())
  for (const as of [t.apiKey, t.admin.token, undefined]) {
    const reply = await t.call('GET', '/api/v1/requests', as === undefined ? {} : { as })
    assert.equal(reply.status, as === undefined ? 401 : 200)
    assert.equal(reply.headers.ratelimit, undefined)
    assert.equal(reply.headers['ratelimit-policy'], undefined)
  }
  assert.equal((await t.sql('select from rate_limits')).length, 0)
})

test('most calls need no query', async (context) => {
  const t = await startTestApp()
  context.after(() => t.stop())
  const taken = async () => Number((await t.sql('select coalesce(sum(taken), 0)::int as n from rate_limits'))[0]?.n)
  await t.call('GET', '/api/v1/requests', { as: t.apiKey })
  const before = await taken()
  assert.equal(before, 5_000, 'a two-hundredth of a million')
  for (let call = 0; call < 200; call += 1) await t.call('GET', '/api/v1/requests', { as: t.apiKey })
  assert.equal(await taken(), before)
})

test('without the shared limits: 503 for callers with credentials, and strangers are served as before', async (context) => {
  const t = await startTestApp({ environment: { RATE_LIMIT_KEY: '100/60', DATABASE_STATEMENT_SECONDS: '1' } })
  const owner = new pg.Client({ ...t.connection, user: 'postgres' })
  await owner.connect()
  context.after(async () => {
    await owner.end()
    await t.stop()
  })
  await owner.query('begin')
  await owner.query('lock table rate_limits in access exclusive mode')
  for (const as of [t.apiKey, t.admin.token]) {
    const reply = await t.call('GET', '/api/v1/requests', { as })
    assert.equal(reply.status, 503)
    assert.equal(reply.body.code, 'service.unavailable')
    assert.match(String(reply.headers['retry-after']), /^\d+$/)
  }
  assert.equal((await t.call('GET', '/api/v1/auth/me')).status, 401)
  assert.equal((await t.call('GET', '/nothing')).status, 404)
  await owner.query('rollback')
  for (const as of [t.apiKey, t.admin.token]) {
    assert.equal((await t.call('GET', '/api/v1/requests', { as })).status, 200)
  }
})

describe('the statement', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>
  let pools: readonly Db[]
  let owner: pg.Client
  before(async () => {
    database = await cloneDatabase()
    pools = [1, 2, 3].map(() =>
      openDb({ connection: database.connection, role: applicationRole, poolSize: 2, onError: () => {} }),
    )
    owner = new pg.Client({ ...database.connection, user: 'postgres' })
    await owner.connect()
  })
  after(async () => {
    await owner.end()
    await Promise.all(pools.map((db) => db.close()))
    await database.drop()
  })

  test('never grants more than the limit, however much is requested at once, and grants all of it', async () => {
    const stores = pools.map(createRateLimitStore)
    let keys = 0
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 500 }),
        fc.array(fc.tuple(fc.nat(2), fc.nat(40), fc.nat(40)), { minLength: 1, maxLength: 40 }),
        async (calls, asks) => {
          keys += 1
          const key = Buffer.alloc(16)
          key.writeUInt32BE(keys)
          const limit = { calls, seconds: 600 }
          const leases = await Promise.all(
            asks.map(([place, demand, spare]) =>
              (stores[place] as (typeof stores)[0]).lease({ key, limit, demand, spare }),
            ),
          )
          const granted = leases.reduce((sum, lease) => sum + lease.granted, 0)
          assert.ok(granted <= calls, `${granted} of ${calls}`)
          const rest = await (stores[0] as (typeof stores)[0]).lease({ key, limit, demand: 1_000, spare: 0 })
          assert.equal(granted + rest.granted, calls)
          assert.equal(rest.remaining, 0)
          assert.equal(new Set([...leases, rest].map(({ window }) => window)).size, 1)
        },
      ),
      { numRuns: 60 },
    )
  })

  test('many callers share one statement, and two processes with the same callers do not block each other', async () => {
    const stores = pools.map(createRateLimitStore)
    const keysOf = (reversed: boolean) => {
      const all = Array.from({ length: 300 }, (_, index) => {
        const key = Buffer.alloc(16, 0xee)
        key.writeUInt32BE(index)
        return key
      })
      return reversed ? all.reverse() : all
    }
    const limit = { calls: 1_000, seconds: 600 }
    const rounds: Promise<Lease>[] = []
    for (let round = 0; round < 10; round += 1) {
      for (const [place, store] of stores.entries()) {
        for (const key of keysOf(place === 1)) rounds.push(store.lease({ key, limit, demand: 1, spare: 0 }))
      }
    }
    await Promise.all(rounds)
    const { rows } = await owner.query<{ taken: number }>(
      `select taken from rate_limits where encode(key, 'hex') like '%eeeeee'`,
    )
    assert.deepEqual(new Set(rows.map(({ taken }) => taken)), new Set([30]))
  })

  test('two requests of one caller in one statement each get their own share', async () => {
    const [store] = pools.map(createRateLimitStore)
    const key = Buffer.alloc(16, 0xaa)
    const ask = () => store?.lease({ key, limit: { calls: 10, seconds: 600 }, demand: 1, spare: 0 })
    const leases = await Promise.all([ask(), ask(), ask()])
    assert.deepEqual(leases.map((lease) => lease?.remaining).sort(), [7, 8, 9])
  })
})
