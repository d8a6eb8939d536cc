import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startTestApp, type TestApp } from '../harness.ts'

// A new installation has no statistics, and plans cached then stay: on this one nothing was ever analyzed.
let t: TestApp
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())

const scans = async (): Promise<Readonly<Record<string, number>>> => {
  await t.sql('select pg_stat_clear_snapshot()')
  const rows = await t.sql(
    `select indexrelname, idx_scan::int from pg_stat_user_indexes where relname = 'consultation_requests'`,
  )
  return Object.fromEntries(rows.map((row) => [String(row.indexrelname), Number(row.idx_scan)]))
}

test('in a table without statistics, single requests are found by the primary key and by no other index', async () => {
  for (let round = 0; round < 12; round += 1) {
    // More than five executions each: PostgreSQL then keeps a plan for every value.
    const { id } = await t.createRequest({ callback_webhook: 'http://127.0.0.1:9/', callback_retry_seconds: [] })
    const answered = await t.call('POST', `/api/v1/requests/${id}/respond`, {
      as: t.reviewer.token,
      body: { decision: 'approve' },
    })
    assert.equal(answered.status, 200)
    await t.app.drain()
    assert.equal((await t.call('GET', `/api/v1/requests/${id}`, { as: t.apiKey })).body.state, 'callback_failed')
  }
  // Backends report what they counted when they end, at the latest.
  await t.app.stop()
  let seen = await scans()
  for (let look = 0; look < 1_000 && !((seen.consultation_requests_pkey ?? 0) >= 48); look += 1) seen = await scans()
  assert.ok((seen.consultation_requests_pkey ?? 0) >= 48, JSON.stringify(seen))
  for (const index of ['consultations_by_state', 'consultations_by_agent', 'consultations_by_update']) {
    assert.equal(seen[index], 0, `${index} served a look-up of one request`)
  }
})

test('in a table without statistics, the first page of a list reads as many rows as it shows', async (context) => {
  const own = await startTestApp()
  context.after(own.stop)
  const { id } = await own.createRequest()
  await own.sql(
    `insert into consultation_requests (organization_id, id, agent_id, api_key_id, title, context, digest, state, created_at, updated_at)
     select organization_id, gen_random_uuid(), agent_id, api_key_id, title, context, digest, state, created_at, updated_at
     from consultation_requests, generate_series(1, 5000) where id = $1`,
    [id],
  )
  for (const filter of ['', '&state=pending']) {
    for (let round = 0; round < 12; round += 1) {
      // Another limit each time, because equal questions are asked once.
      const page = await own.call('GET', `/api/v1/requests?limit=${20 + round}${filter}`, { as: own.admin.token })
      assert.equal(page.body.items.length, 20 + round)
    }
  }
  await own.app.stop()
  const read = async (): Promise<number> => {
    await own.sql('select pg_stat_clear_snapshot()')
    const [row] = await own.sql(
      `select sum(idx_tup_read)::int as rows from pg_stat_user_indexes where relname = 'consultation_requests'`,
    )
    return Number(row?.rows)
  }
  // 24 pages of 26.5 rows on the average, each row found once for the order and once for its columns.
  let rows = await read()
  for (let look = 0; look < 1_000 && rows < 1_200; look += 1) rows = await read()
  assert.ok(rows >= 1_200 && rows < 3_000, `${rows} index entries were read`)
})
