import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { loadMigrations, migrate } from '../../src/platform/database/migrate.ts'
import { newId } from '../../src/platform/ids.ts'
import { createEmptyDatabase } from '../harness.ts'
import { requestsAsShown } from './table-contents.ts'

/** As version 0.2.0 and what came before 0021 kept it: [state, callback_status, received once]; then what is shown, and the event. */
const cases = [
  ['pending', 'none', false, 'pending', null],
  ['pending and held', 'none', false, 'pending', null],
  ['responded', 'none', false, 'responded', null],
  ['responded', 'pending', false, 'responded', 'request.responded'],
  ['responded', 'delivering', false, 'responded', 'request.responded'],
  ['callback_sent', 'sent', true, 'callback_sent', 'request.responded'],
  ['callback_sent', 'failed', true, 'callback_sent', 'request.responded'],
  ['callback_failed', 'failed', false, 'callback_failed', 'request.responded'],
  ['callback_failed', 'pending', false, 'callback_failed', 'request.responded'],
  ['completed', 'none', false, 'completed', null],
  ['completed', 'pending', false, 'completed', 'request.responded'],
  ['completed', 'sent', true, 'completed', 'request.responded'],
  ['timeout', 'sent', true, 'timeout', 'request.timeout'],
  ['cancelled', 'failed', false, 'cancelled', 'request.cancelled'],
] as const

test('how callbacks fared before 0021 is shown as it was, of every organization', async (context) => {
  const database = await createEmptyDatabase()
  const migrations = await loadMigrations()
  await migrate(
    database.connection,
    migrations.filter(({ name }) => name < '0021'),
  )
  const client = new pg.Client({ ...database.connection, user: 'postgres' })
  await client.connect()
  context.after(async () => {
    await client.end()
    await database.drop()
  })
  // Requests and deliveries alone: without the other rows that they refer to.
  await client.query('set session_replication_role = replica')
  const at = new Date('2026-01-31T09:05:00.000Z')
  const rows = cases.map(([state, status, isSent, shown, event], n) => ({
    organization: newId(),
    id: newId(),
    state: state === 'pending and held' ? 'pending' : state,
    isHeld: state === 'pending and held',
    isAnswered: !['pending', 'timeout', 'cancelled'].includes(state),
    // A question need not ask for a decision.
    decision: n % 2 === 0 ? 'approve' : null,
    status,
    sentAt: isSent ? at : null,
    shown,
    event,
  }))
  for (const row of rows) {
    await client.query(
      `insert into consultation_requests (organization_id, id, agent_id, api_key_id, title, context, digest, state, decision,
         responder_id, certificate, certificate_expires_at, held_until, outcome_status, outcome_at, callback_status,
         callback_attempts, callback_last_error, callback_sent_at, created_at, updated_at)
       select $1, $2, gen_random_uuid(), gen_random_uuid(), 'x', '{}', sha256('x'), $3, case when answered then $4 end,
         case when answered then gen_random_uuid() end, case when answered then 'h.p.s' end, case when answered then $5::timestamptz end,
         case when $6 then $5::timestamptz end, case when $3 = 'completed' then 'executed' end,
         case when $3 = 'completed' then $5::timestamptz end, $7, case when $8 then 2 else 0 end, case when $8 then 'no' end,
         $9, $5, $5
       from (select $10::boolean or $6) of(answered)`,
      [
        row.organization,
        row.id,
        row.state,
        row.decision,
        at,
        row.isHeld,
        row.status,
        row.event !== null,
        row.sentAt,
        row.isAnswered,
      ],
    )
    if (row.event === null) continue
    await client.query(
      `insert into deliveries (organization_id, id, channel, subject_id, address, target, body, body_bytes, retry_seconds,
         recovery_seconds, status, attempts, due_at, created_at, updated_at)
       values ($1, $2, 'callback', $3, 'http://x/', 'http://x', '', 0, '{}', '{}', $4, 2,
         case when $4 = 'pending' then $5::timestamptz end, $5, $5)`,
      [row.organization, newId(), row.id, ['sent', 'failed'].includes(row.status) ? row.status : 'pending', at],
    )
  }
  await migrate(database.connection)
  const { rows: found } = await client.query(
    `select shown.id, shown.shown, callback_sent_at as "sentAt", o.event, o.shown as listed, o.last_error as error
     from ${requestsAsShown.replace(/\brequests$/, 'shown')} left join deliveries o on o.id = shown.callback_id`,
  )
  const byId = (one: { id: string }, other: { id: string }) => one.id.localeCompare(other.id)
  const expected = rows.map(({ id, shown, event, sentAt }) => ({
    id,
    shown,
    sentAt,
    event,
    listed: event === null ? null : shown !== 'completed',
    error: event === null ? null : 'no',
  }))
  assert.deepEqual(found.map((row) => ({ ...row })).sort(byId), expected.sort(byId))
  const { rows: forced } = await client.query(
    `select relname from pg_class where relname in ('consultation_requests', 'deliveries')
     and not (relrowsecurity and relforcerowsecurity)`,
  )
  assert.deepEqual(forced, [])
})
