import assert from 'node:assert/strict'
import { hash, randomUUID } from 'node:crypto'
import { test } from 'node:test'
import canonicalize from 'canonicalize'
import pg from 'pg'
import { loadMigrations, migrate } from '../../src/platform/database/migrate.ts'
import { createEmptyDatabase } from '../harness.ts'

test('events of before the audit become records in RFC 8785 form, with what people wrote set apart', async (context) => {
  const { connection, drop } = await createEmptyDatabase()
  const client = new pg.Client(connection)
  context.after(async () => {
    await client.end()
    await drop()
  })
  const all = await loadMigrations()
  await migrate(connection, all.slice(0, 4))
  await client.connect()
  const insert = (id: string, fields: Readonly<Record<string, unknown>>) =>
    client.query(
      `insert into events (organization_id, id, kind, subject_kind, subject_id, actor_kind, actor_id, http_request_id,
         before, after, occurred_at)
       values ($1, $2, $3, 'request', $1, $4, $5, $6, $7, $8, '2026-01-31T09:05:00.120Z')`,
      [
        '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a00',
        id,
        fields.kind,
        fields.actorKind,
        fields.actorId ?? null,
        fields.call ?? null,
        fields.before ?? null,
        fields.after ?? null,
      ],
    )
  const [first = '', second = '', third = ''] = ['1', '2', '3'].map((n) => `01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a0${n}`)
  const key = randomUUID()
  const comment = 'a "quoted" \\ \t\n\u001f\u007f é 😀 </x>'
  const after = {
    state: 'responded',
    revision: 1,
    decision: 'approve',
    comment,
    ratio: 1.5,
    nested: { b: [1, null], a: {} },
  }
  await insert(second, {
    kind: 'request.responded',
    actorKind: 'person',
    before: { state: 'pending' },
    after,
    call: 'c',
  })
  await insert(first, {
    kind: 'request.created',
    actorKind: 'agent',
    actorId: key,
    after: { state: 'pending', title: 'May I?', timeout_at: null, callback_webhook: null },
  })
  await insert(third, { kind: 'organization.created', actorKind: 'system', after: { name: 'Default' } })
  await migrate(connection)

  await client.query(`set hitl.organization = '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a00'`)
  const { rows } = await client.query('select * from events order by era, xact, id')
  assert.deepEqual(
    rows.map((row) => row.id),
    [first, second, third],
  )
  for (const { record, erasable } of rows) {
    const parsed = JSON.parse(record)
    const { erasable_sha256: sha256 } = parsed
    assert.equal(record, canonicalize(parsed))
    assert.equal(sha256, erasable === null ? null : hash('sha256', erasable))
    if (erasable !== null) assert.equal(erasable, canonicalize(JSON.parse(erasable)))
  }
  const { erasable_sha256: _, ...created } = JSON.parse(rows[0].record)
  assert.deepEqual(created, {
    v: 1,
    organization_id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a00',
    id: first,
    kind: 'request.created',
    occurred_at: '2026-01-31T09:05:00.120Z',
    subject: { kind: 'request', id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a00' },
    actor: { kind: 'agent', id: key, key_id: key, session_id: null, signed_in_with: null },
    http_request_id: null,
    digest: null,
    before: null,
    after: { state: 'pending', timeout_at: null },
  })
  const { salt, ...said } = JSON.parse(rows[0].erasable)
  assert.match(salt, /^[0-9a-f]{32}$/)
  assert.deepEqual(said, { title: 'May I?', callback_webhook: null })
  const { comment: _comment, ...kept } = after
  assert.deepEqual(JSON.parse(rows[1].record).after, kept)
  assert.equal(JSON.parse(rows[1].erasable).comment, comment)
  assert.deepEqual([JSON.parse(rows[2].record).after, rows[2].erasable], [{ name: 'Default' }, null])
})
