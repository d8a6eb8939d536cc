import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { createRefusals, type Refusal } from '../../src/events/refusals.ts'
import { createEvents } from '../../src/events/service.ts'
import { installationId } from '../../src/platform/ids.ts'
import { createLog } from '../../src/platform/log.ts'
import { startTestApp, type TestApp } from '../harness.ts'

let t: TestApp
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())

const written = (kind: string) =>
  t.sql(
    `select organization_id, actor_kind, actor_id, record::jsonb->'after' as after, erasable::jsonb->>'network' as network
     from events where kind = $1 order by era, xact, id`,
    [kind],
  )

describe('refusals', () => {
  test('of people and keys that may not do it are events of their organization, equal ones counted', async () => {
    for (let n = 0; n < 3; n += 1) await t.call('GET', '/api/v1/events', { as: t.reviewer.token })
    await t.call('POST', '/api/v1/requests', { as: t.reviewer.token, body: { title: 'x', context: {} } })
    assert.equal((await written('access.refused')).length, 0, 'nobody waits for them')
    await t.app.audit.refusals.flush()
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

  test('of credentials that are none are events of the installation', async () => {
    await t.call('GET', '/api/v1/requests', { as: `hitl_${'0'.repeat(71)}` })
    await t.call('GET', '/api/v1/requests', { as: 'no.such.token' })
    await t.call('GET', '/api/v1/requests')
    await t.app.audit.refusals.flush()
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

  test('404 for what is not yours is none', async () => {
    await t.call('GET', `/api/v1/requests/${randomUUID()}`, { as: t.reviewer.token })
    const before = (await written('access.refused')).length
    await t.app.audit.refusals.flush()
    assert.equal((await written('access.refused')).length, before)
  })
})

describe('a flood of refusals', () => {
  const refusal = (n: number): Refusal => ({
    organizationId: installationId,
    kind: 'credential.refused',
    actor: { kind: 'anonymous', id: null },
    code: 'auth.flood',
    network: `2001:db8:0:${n.toString(16)}::/64`,
    route: 'GET /api/v1/requests',
    httpRequestId: String(n),
  })
  const create = () =>
    createRefusals({ db: t.app.db, clock: t.clock, log: createLog('silent', false), events: createEvents([]) })
  const flooded = async () =>
    (await written('credential.refused')).filter(({ after }) => (after as { code: string }).code === 'auth.flood')

  test('from 100 000 networks is a few hundred events that count them all, in bounded memory', async () => {
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

  test('costs a call microseconds', () => {
    const refusals = create()
    const started = performance.now()
    for (let n = 0; n < 100_000; n += 1) refusals.note(refusal(n % 1_000))
    const each = (performance.now() - started) / 100
    assert.ok(each < 50, `${each} µs each`)
  })

  test('that cannot be written is given up, and nobody notices', async () => {
    const refusals = createRefusals({
      db: t.app.db,
      clock: t.clock,
      log: createLog('silent', false),
      events: { append: () => Promise.reject(new Error('no database today')) },
    })
    refusals.note(refusal(1))
    await refusals.flush()
    await refusals.close()
    refusals.note(refusal(2))
  })
})
