import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, type TestContext, test } from 'node:test'
import { createRefusedCalls, type RefusedCall } from '../../src/events/refused-calls.ts'
import { createEvents } from '../../src/events/service.ts'
import type { Report } from '../../src/facts/fact.ts'
import { installationId } from '../../src/platform/ids.ts'
import { createLog } from '../../src/platform/log.ts'
import { sampleAdmin, samplePassword, sampleReviewer } from '../../src/seed.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { recordedEvents } from '../recorded-events.ts'

let t: TestApp
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())

const written = async (kind: string) =>
  (await recordedEvents(t.sql, { kinds: [kind] })).map(({ organization_id, actor, after, erasable }) => ({
    organization_id,
    actor_kind: actor.kind,
    actor_id: actor.id,
    after,
    network: erasable?.network ?? null,
  }))

interface Counted {
  readonly code: string
  readonly count: number
  readonly first_at: string
}

const refusedWith = async (code: string, sql = t.sql) =>
  (await recordedEvents(sql, { kinds: ['access.refused'] }))
    .filter(({ after }) => after.code === code)
    .map(({ organization_id, subject, actor, after }) => ({
      organization_id,
      subject_id: subject.id,
      actor_kind: actor.kind,
      actor_id: actor.id,
      count: after.count,
    }))

/** Refusals are written a second after the first one. In these tests only `flush` writes them, however long the calls take. */
const keepUnwritten = (context: TestContext): void => {
  const clear = globalThis.clearTimeout
  context.mock.timers.enable({ apis: ['setTimeout'] })
  const clearMocked = globalThis.clearTimeout
  // Timers from before, such as those of idle connections, are still cleared: left alone they keep this process for a minute.
  globalThis.clearTimeout = (timer) => {
    clear(timer)
    clearMocked(timer)
  }
}

describe('refusals', () => {
  test('for a missing right are events of the organization, with equal ones counted', async (context) => {
    keepUnwritten(context)
    for (let n = 0; n < 3; n += 1) await t.call('GET', '/api/v1/events', { as: t.reviewer.token })
    await t.call('POST', '/api/v1/requests', { as: t.reviewer.token, body: { title: 'x', context: {} } })
    assert.equal((await written('access.refused')).length, 0, 'nobody waits for them')
    await t.app.audit.refusedCalls.flush()
    const rows = await written('access.refused')
    assert.deepEqual(
      rows.map(({ after, ...row }) => [row, (after as { count: number; code: string; route: string }).count]),
      [
        [
          { organization_id: t.organizationId, actor_kind: 'person', actor_id: t.reviewer.id, network: '127.0.0.1/32' },
          4,
        ],
      ],
    )
    assert.deepEqual(
      rows.map(({ after }) => [(after as { code: string }).code, (after as { route: string }).route]),
      [['auth.forbidden', 'GET /api/v1/events']],
    )
  })

  test('of invalid credentials are events of the installation', async (context) => {
    keepUnwritten(context)
    await t.call('GET', '/api/v1/requests', { as: `hitl_${'0'.repeat(71)}` })
    await t.call('GET', '/api/v1/requests', { as: 'no.such.token' })
    await t.call('GET', '/api/v1/requests')
    await t.app.audit.refusedCalls.flush()
    const rows = await written('credential.refused')
    assert.deepEqual(
      rows.map(({ organization_id, actor_kind, after }) => [
        organization_id,
        actor_kind,
        (after as { count: number }).count,
      ]),
      [[installationId, 'anonymous', 2]],
    )
  })

  test('of cross-site calls with the session cookie are events of the installation', async (context) => {
    keepUnwritten(context)
    const headers = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }
    const body = { username: sampleReviewer, password: samplePassword, session_cookie: true }
    const replies = [
      await t.call('POST', '/api/v1/auth/login', { body, headers }),
      await t.call('POST', '/api/v1/auth/refresh', { headers: { ...headers, cookie: 'hitl_session=x' } }),
    ]
    assert.deepEqual(
      replies.map(({ status, body: told }) => [status, told.code]),
      Array(2).fill([403, 'auth.cross_site']),
    )
    await t.app.audit.refusedCalls.flush()
    assert.deepEqual(await refusedWith('auth.cross_site'), [
      {
        organization_id: installationId,
        subject_id: installationId,
        actor_kind: 'anonymous',
        actor_id: null,
        count: 2,
      },
    ])
  })

  test('of throttled sign-ins are events of the installation and counted, with or without an account', async () => {
    const body = { username: sampleAdmin, password: 'a wrong password' }
    const replies = await Promise.all(Array.from({ length: 20 }, () => t.call('POST', '/api/v1/auth/login', { body })))
    const throttled = replies.filter(({ status }) => status === 429).length
    assert.ok(throttled > 1)
    await t.app.audit.refusedCalls.flush()
    const anonymous = {
      organization_id: installationId,
      subject_id: installationId,
      actor_kind: 'anonymous',
      actor_id: null,
    }
    assert.deepEqual(await refusedWith('auth.throttled'), [{ ...anonymous, count: throttled }])
  })

  test('for rate limits are events of the organization for keys, and of the installation for strangers', async (context) => {
    const limited = await startTestApp({ environment: { RATE_LIMIT_KEY: '2/3000', RATE_LIMIT_ADDRESS: '2/3000' } })
    context.after(() => limited.stop())
    keepUnwritten(context)
    for (let n = 0; n < 5; n += 1) {
      await limited.call('GET', '/api/v1/requests', { as: limited.apiKey })
      await limited.call('GET', '/api/v1/auth/me')
    }
    await limited.app.audit.refusedCalls.flush()
    const [agent] = await limited.sql(`select id from agents`)
    const rows = await refusedWith('http.rate_limited', limited.sql)
    assert.deepEqual(
      rows.toSorted((one, other) => String(one.actor_kind).localeCompare(String(other.actor_kind))),
      [
        {
          organization_id: limited.organizationId,
          subject_id: limited.organizationId,
          actor_kind: 'agent',
          actor_id: agent?.id,
          count: 3,
        },
        {
          organization_id: installationId,
          subject_id: installationId,
          actor_kind: 'anonymous',
          actor_id: null,
          count: 3,
        },
      ],
    )
  })

  test('of redemptions are events of the request: no approval, another digest, already used', async (context) => {
    keepUnwritten(context)
    const { id } = await t.createRequest()
    const redeem = async (body = {}) =>
      (await t.call('POST', `/api/v1/requests/${id}/redeem`, { as: t.apiKey, body })).status
    assert.equal(await redeem(), 409)
    await t.call('POST', `/api/v1/requests/${id}/respond`, { as: t.reviewer.token, body: { decision: 'approve' } })
    assert.equal(await redeem({ digest: 'a'.repeat(64) }), 412)
    assert.deepEqual([await redeem(), await redeem(), await redeem()], [200, 409, 409])
    await t.app.audit.refusedCalls.flush()
    for (const [code, count] of [
      ['consultation.not_approved', 1],
      ['consultation.digest_differs', 1],
      ['consultation.already_redeemed', 2],
    ] as const) {
      const [row, ...others] = await refusedWith(code)
      assert.deepEqual(
        [row?.organization_id, row?.subject_id, row?.actor_kind, row?.count],
        [t.organizationId, id, 'agent', count],
      )
      assert.equal(others.length, 0)
    }
    const timeline = await t.call('GET', `/api/v1/requests/${id}/events`, { as: t.admin.token })
    assert.equal(timeline.body.items.filter((event: { kind: string }) => event.kind === 'access.refused').length, 3)
  })

  test('409 of other acts has no event', async () => {
    const { id } = await t.createRequest()
    for (const status of [200, 409]) {
      assert.equal((await t.call('POST', `/api/v1/requests/${id}/cancel`, { as: t.apiKey })).status, status)
    }
    const before = (await written('access.refused')).length
    await t.app.audit.refusedCalls.flush()
    assert.equal((await written('access.refused')).length, before)
  })

  test('404 for what the caller may not see has no event', async () => {
    await t.call('GET', `/api/v1/requests/${randomUUID()}`, { as: t.reviewer.token })
    const before = (await written('access.refused')).length
    await t.app.audit.refusedCalls.flush()
    assert.equal((await written('access.refused')).length, before)
  })
})

describe('a flood of refusals', () => {
  const refusal = (n: number): RefusedCall => ({
    organizationId: installationId,
    kind: 'credential.refused',
    actor: { kind: 'anonymous', id: null },
    code: 'auth.flood',
    requestId: null,
    network: `2001:db8:0:${n.toString(16)}::/64`,
    route: 'GET /api/v1/requests',
    httpRequestId: String(n),
  })
  const create = () =>
    createRefusedCalls({
      db: t.app.db,
      clock: t.clock,
      log: createLog('silent', false),
      report: createEvents([]).append,
    })
  const flooded = async () =>
    (await written('credential.refused')).filter(({ after }) => (after as { code: string }).code === 'auth.flood')

  test('from 100 000 networks becomes a few hundred events that count them all, in bounded memory', async () => {
    const refusals = create()
    const before = process.memoryUsage().heapUsed
    for (let n = 0; n < 100_000; n += 1) refusals.note(refusal(n))
    assert.ok(process.memoryUsage().heapUsed - before < 60_000_000)
    await refusals.flush()
    const rows = await flooded()
    assert.ok(rows.length <= 512, `${rows.length} events`)
    assert.equal(
      rows.reduce((sum, { after }) => sum + (after as { count: number }).count, 0),
      100_000,
    )
    assert.ok(rows.some(({ network }) => network === null))
    await refusals.close()
  })

  test('costs each call only microseconds', () => {
    const refusals = create()
    const started = performance.now()
    for (let n = 0; n < 100_000; n += 1) refusals.note(refusal(n % 1_000))
    const each = (performance.now() - started) / 100
    assert.ok(each < 50, `${each} µs each`)
  })

  test('that cannot be written is kept in bounded memory, still counted, and written when the database is back', async () => {
    const events = createEvents([])
    let isAway = true
    let tries = 0
    const report: Report = (tx, some) => {
      tries += 1
      return isAway ? Promise.reject(new Error('no database today')) : events.append(tx, some)
    }
    const options = { db: t.app.db, clock: t.clock, log: createLog('silent', false), report }
    const refusals = createRefusedCalls(options)
    const away = (n: number): RefusedCall => ({ ...refusal(n), code: 'auth.away' })
    const firstAt = t.clock.now().toISOString()
    for (let n = 0; n < 10; n += 1) refusals.note(away(1))
    await refusals.flush()
    t.clock.advance(1_000)
    for (let n = 0; n < 1_000; n += 1) refusals.note(away(n % 500))
    await refusals.flush()
    await refusals.flush()
    assert.equal(tries, 3)
    isAway = false
    await refusals.close()
    refusals.note(away(1))
    await refusals.flush()
    const rows = (await written('credential.refused')).map(({ after, network }) => ({ ...(after as Counted), network }))
    const counted = rows.filter(({ code }) => code === 'auth.away')
    assert.equal(
      counted.reduce((sum, { count }) => sum + count, 0),
      1_010,
    )
    assert.ok(counted.length <= 512, `${counted.length} events`)
    const first = counted.find(({ network }) => network === away(1).network)
    assert.deepEqual([first?.count, first?.first_at], [12, firstAt])
  })

  test('is retried without waiting for another refusal', async () => {
    const events = createEvents([])
    let tries = 0
    const done = Promise.withResolvers<void>()
    const report: Report = async (tx, some) => {
      tries += 1
      if (tries === 1) throw new Error('no database today')
      await events.append(tx, some)
      done.resolve()
    }
    const refusals = createRefusedCalls({
      db: t.app.db,
      clock: t.clock,
      log: createLog('silent', false),
      report,
    })
    refusals.note({ ...refusal(1), code: 'auth.again' })
    await refusals.flush()
    await done.promise
    await refusals.close()
  })
})
