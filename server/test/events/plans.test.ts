import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startTestApp, type TestApp } from '../harness.ts'
import { exportOf } from './chain.ts'

// A new installation has no statistics, and plans cached then stay: on this one nothing was ever analyzed.
let t: TestApp
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())

const scans = async (): Promise<Readonly<Record<string, number>>> => {
  await t.sql('select pg_stat_clear_snapshot()')
  const rows = await t.sql(`select indexrelname, idx_scan::int from pg_stat_user_indexes where relname = 'events'`)
  return Object.fromEntries(rows.map((row) => [String(row.indexrelname), Number(row.idx_scan)]))
}

test('in a table without statistics, sealing, exporting and erasing walk along the primary key and no other index', async () => {
  for (let round = 0; round < 12; round += 1) {
    // More than five executions each: PostgreSQL then keeps a plan for every value.
    await t.createRequest()
    await t.app.audit.drain()
    await exportOf(t)
    const body = { user_id: t.reviewer.id, reason: 'a test' }
    assert.equal((await t.call('POST', '/api/v1/events/erasures', { as: t.admin.token, body })).status, 200)
  }
  const before = { time: 0, subject: 24 }
  // Backends report what they counted when they end, at the latest.
  await t.app.stop()
  let seen = await scans()
  for (let look = 0; look < 1_000 && !((seen.events_pkey ?? 0) >= 100); look += 1) seen = await scans()
  assert.ok((seen.events_pkey ?? 0) >= 100, JSON.stringify(seen))
  assert.equal(seen.events_by_time, before.time)
  assert.ok(
    (seen.events_by_subject ?? 0) <= before.subject,
    'only the erasure looks for a subject, and for the invitation that let a person in',
  )
})
