import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { loadMigrations, migrate } from '../../src/platform/database/migrate.ts'
import { newId } from '../../src/platform/ids.ts'
import { createEmptyDatabase } from '../harness.ts'

test('decisions made before there was a ledger of answers are moved into it, of every organization', async (context) => {
  const database = await createEmptyDatabase()
  const migrations = await loadMigrations()
  await migrate(
    database.connection,
    migrations.filter(({ name }) => name < '0012'),
  )
  const client = new pg.Client({ ...database.connection, user: 'postgres' })
  await client.connect()
  context.after(async () => {
    await client.end()
    await database.drop()
  })
  // Requests and people alone: without the other rows that they refer to.
  await client.query('set session_replication_role = replica')
  const at = new Date('2026-01-31T09:05:00.000Z')
  const rows = ['approve', 'reject', 'request_changes', null].map((decision, n) => ({
    organization_id: newId(),
    id: newId(),
    revision: n + 1,
    decision,
    comment: decision && (n === 0 ? null : `comment ${n}`),
    responder_id: decision && newId(),
    responded_at: decision && at,
    state: decision === null ? 'cancelled' : 'callback_sent',
  }))
  for (const row of rows) {
    await client.query(
      `insert into users (organization_id, id, account_id, email, email_key, role, created_at, updated_at)
       select $1, $2, gen_random_uuid(), 'a@b.example', 'a@b.example', 'reviewer', now(), now() where $2::uuid is not null`,
      [row.organization_id, row.responder_id],
    )
    await client.query(
      `insert into consultation_requests (organization_id, id, agent_id, api_key_id, title, context, digest, state, revision,
         decision, comment, responder_id, responded_at, certificate, certificate_expires_at, created_at, updated_at)
       values ($1, $2, gen_random_uuid(), gen_random_uuid(), 'x', '{}', sha256('x'), $3, $4, $5, $6, $7, $8,
         case when $5::text is not null then 'h.p.s' end, $8, $9, $9)`,
      [
        row.organization_id,
        row.id,
        row.state,
        row.revision,
        row.decision,
        row.comment,
        row.responder_id,
        row.responded_at,
        at,
      ],
    )
  }
  await migrate(database.connection)
  const { rows: answers } = await client.query(
    'select organization_id, request_id, revision, responder_id, decision, comment, answered_at from consultation_answers',
  )
  const byId = (one: { request_id: string }, other: { request_id: string }) =>
    one.request_id.localeCompare(other.request_id)
  const expected = rows
    .filter(({ decision }) => decision !== null)
    .map(({ id: request_id, responded_at: answered_at, state, ...row }) => ({ ...row, request_id, answered_at }))
  assert.deepEqual(answers.map((row) => ({ ...row })).sort(byId), expected.sort(byId))
  const { rows: forced } = await client.query(
    `select relname from pg_class where relname like 'consultation%' and relkind = 'r' and not (relrowsecurity and relforcerowsecurity)`,
  )
  assert.deepEqual(forced, [])
})
