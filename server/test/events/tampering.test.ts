import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, type TestContext, test } from 'node:test'
import pg from 'pg'
import { eventually } from '../eventually.ts'
import { createFakeClock, startTestApp, type TestApp } from '../harness.ts'
import { addEvents, exportOf, sealAll, verified } from './chain.ts'

/** An installation with some sealed batches of several events each. */
async function sealedApp(context: TestContext): Promise<TestApp> {
  const t = await startTestApp()
  context.after(() => t.stop())
  for (let wave = 0; wave < 4; wave += 1) {
    for (let n = 0; n < 3; n += 1) await t.createRequest({ title: `Request ${wave}-${n}` })
    await eventually('everything is sealed', async () => {
      await t.app.audit.drain()
      const [row] = await t.sql(
        `select (select count(*) from events where organization_id = $1) as events,
          (select max(last_position) from audit_seals where organization_id = $1) as sealed`,
        [t.organizationId],
      )
      return Number(row?.events) === Number(row?.sealed)
    })
  }
  return t
}

/** Bypasses the triggers that protect the table, which only a superuser can. */
async function unprotected(t: TestApp, statement: string, values: readonly unknown[]): Promise<void> {
  for (const table of ['events', 'audit_seals']) await t.sql(`alter table ${table} disable trigger user`)
  await t.sql(statement, values)
  for (const table of ['events', 'audit_seals']) await t.sql(`alter table ${table} enable trigger user`)
}

interface Sealed {
  readonly era: number
  readonly xact: string
  readonly id: string
  readonly position: number
  readonly seal: number
}

/** The middle event of the second batch, and its position. */
async function oneOf(t: TestApp): Promise<Sealed> {
  const [row] = await t.sql(
    `with placed as (select *, row_number() over (order by era, xact, id) as position from events where organization_id = $1)
     select p.era, p.xact, p.id, p.position::int, s.number::int as seal from placed p
     join audit_seals s on s.organization_id = $1 and s.number = 2 and p.position = s.first_position + 1`,
    [t.organizationId],
  )
  assert.ok(row)
  return row as unknown as Sealed
}

/** Verifies the export that an auditor gets. */
async function told(t: TestApp) {
  const { ok, findings } = await verified(t, await exportOf(t))
  assert.equal(ok, findings.length === 0)
  return findings.map(({ code, position, seal }) => ({ code, position, seal }))
}

const insertion = `insert into events (organization_id, id, kind, subject_kind, subject_id, actor_kind, occurred_at, era, xact,
  record) values ($1, $2, 'x.tried', 'request', gen_random_uuid(), 'system', now(), $3, $4, '{"erasable_sha256":null,"v":1}')`

const deleteUpTo = (seal: number, last: number): string =>
  `with upto as (select * from audit_seals where organization_id = $1 and number = ${seal}), gone as (
     delete from audit_seals where organization_id = $1 and number < ${last})
   delete from events e using upto s where e.organization_id = $1
     and (e.era, e.xact, e.id) <= (s.last_era, s.last_xact, s.last_id)`

describe('what somebody with the whole database in their hands did to sealed events is in the export, and found there', () => {
  test('one was deleted', async (context) => {
    const t = await sealedApp(context)
    const { position, seal, id } = await oneOf(t)
    await unprotected(t, 'delete from events where organization_id = $1 and id = $2', [t.organizationId, id])
    assert.deepEqual(await told(t), [{ code: 'event.missing', position, seal }])
    assert.deepEqual((await told(t)).length, 1, 'and the next day again')
  })

  test('the last event of a batch was deleted', async (context) => {
    const t = await sealedApp(context)
    const [row] = await t.sql(
      'select last_id, last_position::int as position from audit_seals where organization_id = $1 and number = 2',
      [t.organizationId],
    )
    await unprotected(t, 'delete from events where organization_id = $1 and id = $2', [t.organizationId, row?.last_id])
    assert.deepEqual(await told(t), [{ code: 'event.missing', position: row?.position, seal: 2 }])
  })

  test('the whole first batch was deleted, as by a purge', async (context) => {
    const t = await sealedApp(context)
    await unprotected(
      t,
      `delete from events e using audit_seals s where e.organization_id = $1 and s.organization_id = $1 and s.number = 1
         and (e.era, e.xact, e.id) <= (s.last_era, s.last_xact, s.last_id)`,
      [t.organizationId],
    )
    const [first] = await t.sql(
      'select last_position::int from audit_seals where organization_id = $1 and number = 1',
      [t.organizationId],
    )
    assert.deepEqual(
      await told(t),
      Array.from({ length: Number(first?.last_position) }, (_, at) => ({
        code: 'event.missing',
        position: at + 1,
        seal: 1,
      })),
    )
  })

  test('all events were deleted, of more batches than a page of the export holds', async (context) => {
    const t = await sealedApp(context)
    await addEvents(t, { count: 14_000 })
    const sealed = await eventually('everything is sealed', async () => {
      await t.app.audit.drain()
      const [row] = await t.sql('select max(last_position)::int as last from audit_seals where organization_id = $1', [
        t.organizationId,
      ])
      return Number(row?.last) > 14_000 ? Number(row?.last) : null
    })
    await unprotected(t, 'delete from events where organization_id = $1', [t.organizationId])
    const { findingCount, findings } = await verified(t, await exportOf(t))
    assert.equal(findingCount, sealed)
    assert.ok(findings.every(({ code }) => code === 'event.missing'))
  })

  test('an event was inserted among them', async (context) => {
    const t = await sealedApp(context)
    const { era, xact, seal } = await oneOf(t)
    // Sorts behind the ids of that time.
    await addEvents(t, { id: 'ffffffff-ffff-7fff-bfff-ffffffffffff', place: { era, xact } })
    assert.deepEqual(await told(t), [{ code: 'event.inserted', position: null, seal }])
  })

  test('an event was inserted before all of them', async (context) => {
    const t = await sealedApp(context)
    await addEvents(t, { place: { era: 0, xact: '3' } })
    assert.deepEqual(await told(t), [{ code: 'event.inserted', position: null, seal: 1 }])
  })

  test('an event was edited', async (context) => {
    const t = await sealedApp(context)
    const { id, position, seal } = await oneOf(t)
    await unprotected(
      t,
      `update events set record = replace(record, '"before":null', '"before":{}') where organization_id = $1 and id = $2`,
      [t.organizationId, id],
    )
    assert.deepEqual(await told(t), [{ code: 'event.edited', position, seal }])
  })

  test('a seal was deleted', async (context) => {
    const t = await sealedApp(context)
    await unprotected(t, 'delete from audit_seals where organization_id = $1 and number = 2', [t.organizationId])
    const findings = await told(t)
    assert.ok(findings.some(({ code, seal }) => code === 'seal.missing' && seal === 2))
  })

  test('everything up to the second seal was removed, as if it had been purged, or not been asked for', async (context) => {
    const t = await sealedApp(context)
    const { organizationId } = t
    await unprotected(t, deleteUpTo(2, 2), [organizationId])
    assert.deepEqual(await told(t), [{ code: 'start.unexplained', position: null, seal: 2 }])
    const asked = await verified(t, await exportOf(t, '?after=2'))
    assert.deepEqual(asked.findings, [])
    assert.match(asked.limits.join(), /begins with seal 3, as it was asked for/)
  })

  test('the columns were edited that lists search by', async (context) => {
    const t = await sealedApp(context)
    const { id } = await oneOf(t)
    await unprotected(
      t,
      `update events set kind = 'request.redeemed', subject_id = gen_random_uuid() where organization_id = $1 and id = $2`,
      [t.organizationId, id],
    )
    assert.deepEqual(await told(t), [{ code: 'columns.differ', position: null, seal: null }])
    const { body } = await t.call('GET', '/api/v1/events?limit=100', { as: t.admin.token })
    const altered = (body.items as { id: string; altered: boolean }[]).filter((event) => event.altered)
    assert.deepEqual(
      altered.map((event) => event.id),
      [id],
    )
  })

  test('one was put in at a place where no transaction has been yet', async (context) => {
    for (const place of [
      { era: 0, xact: '9000000000' },
      { era: 7, xact: '3' },
    ]) {
      const t = await sealedApp(context)
      await addEvents(t, { place })
      await t.createRequest()
      assert.deepEqual(await told(t), [{ code: 'event.misplaced', position: null, seal: null }])
      const { body } = await t.call('GET', '/api/v1/events?kind=request.created&limit=1', { as: t.admin.token })
      assert.equal(typeof body.items[0].seal, 'number', 'true events are sealed all the same')
    }
  })

  test('more than a page of events was put in', async (context) => {
    const t = await sealedApp(context)
    const { era, xact } = await oneOf(t)
    await addEvents(t, { count: 1_200, place: { era, xact } })
    const { findingCount, findings } = await verified(t, await exportOf(t))
    assert.equal(findingCount, 1200)
    assert.ok(findings.every(({ code, seal }) => code === 'event.inserted' && seal === 2))
  })
})

test('a purge during an export breaks it off, so that purged events are not reported as missing', async (context) => {
  const t = await startTestApp({ clock: createFakeClock(new Date(Date.now() - 400 * 86_400_000)) })
  context.after(() => t.stop())
  // More than a page of events, and older than any retention, like all the others.
  for (let batch = 0; batch < 3; batch += 1) {
    await addEvents(t, { count: 1_500, at: `now() - interval '400 days'`, after: `'"' || repeat('x', 4000) || '"'` })
    await sealAll(t)
  }
  await t.sql(
    `insert into audit_policies values ($1, 184, false, now()) on conflict (organization_id)
    do update set retention_days = 184`,
    [t.organizationId],
  )
  const lines = await t.app.audit.exportHere(t.organizationId, 'jsonl', null)
  assert.ok(lines)
  await lines.next()
  await lines.next()
  await eventually('purged', async () => {
    await t.app.audit.drain()
    return (await t.sql(`select from events where kind = 'audit.purged'`)).length > 0
  })
  await assert.rejects(async () => {
    for await (const _text of lines) {
    }
  }, /events were purged while they were being exported/)
  await eventually('the next one begins behind the purge, whose event is sealed', async () => {
    const { findings } = await verified(t, await exportOf(t))
    return findings.length === 0
  })
})

test("the application's role cannot choose the position of an event in the chain", async (context) => {
  const t = await startTestApp()
  context.after(() => t.stop())
  const client = new pg.Client({ ...t.connection, user: 'postgres' })
  await client.connect()
  await client.query('set role hitl_app')
  await client.query(`select set_config('hitl.organization', $1, false)`, [t.organizationId])
  await assert.rejects(client.query(insertion, [t.organizationId, randomUUID(), 0, '3']), /permission denied/)
  const allowed = `insert into events (organization_id, id, kind, subject_kind, subject_id, actor_kind, occurred_at, record)
    values ($1, gen_random_uuid(), 'x.tried', 'request', gen_random_uuid(), 'system', now(), '{"v":1}')`
  await client.query(allowed, [t.organizationId])
  await client.end()
})
