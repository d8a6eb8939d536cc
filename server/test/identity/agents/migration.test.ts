import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { createApp } from '../../../src/app.ts'
import { hashApiKey, mintApiKey } from '../../../src/identity/api-keys/api-key.ts'
import { loadMigrations, migrate } from '../../../src/platform/database/migrate.ts'
import { newId } from '../../../src/platform/ids.ts'
import { createLog } from '../../../src/platform/log.ts'
import { createEmptyDatabase, createFakeClock, secretKey, testConfig } from '../../harness.ts'

// A database as it was before there were agents, with a key that is used and one that is revoked.
const database = await createEmptyDatabase()
const { connection } = database
const organizationId = newId()
const [used, revoked] = [newId(), newId()]
const raw = mintApiKey(used)
const requestId = newId()
let client: pg.Client

before(async () => {
  const all = await loadMigrations()
  await migrate(
    connection,
    all.filter(({ name }) => name < '0007'),
  )
  client = new pg.Client({ ...connection, user: 'postgres' })
  await client.connect()
  await client.query(`insert into organizations (organization_id, name) values ($1, 'Default')`, [organizationId])
  const key = `insert into api_keys (organization_id, id, name, description, key_hash, is_active, created_at, updated_at)
    values ($1, $2, $3, 'as it was', $4, $5, '2026-01-01', '2026-02-01')`
  await client.query(key, [organizationId, used, 'used', hashApiKey(raw), true])
  await client.query(key, [organizationId, revoked, 'revoked', hashApiKey(mintApiKey(revoked)), false])
  await client.query(
    `insert into consultation_requests (organization_id, id, api_key_id, title, context, state, idempotency_key,
       idempotency_hash, created_at, updated_at)
     values ($1, $2, $3, 'May I?', '{}', 'pending', 'one', sha256('x'), now(), now())`,
    [organizationId, requestId, used],
  )
  await client.query(`insert into consultation_totals values ($1, $2, 'pending', 0, 1)`, [organizationId, used])
})
after(async () => {
  await client.end()
  await database.drop()
})

test('a database from before agents keeps its keys and requests: each key is its own agent', async () => {
  const row = `select xmin::text, ctid::text from consultation_requests`
  const untouched = (await client.query(row)).rows
  await migrate(connection)
  assert.deepEqual((await client.query(row)).rows, untouched, 'no request was written again')

  const agents = await client.query('select id, name, description, status, owner_id from agents order by name')
  assert.deepEqual(agents.rows, [
    { id: revoked, name: 'revoked', description: 'as it was', status: 'active', owner_id: null },
    { id: used, name: 'used', description: 'as it was', status: 'active', owner_id: null },
  ])
  const keys = await client.query(
    `select id, agent_id, expires_at, cardinality(scopes) as scopes, revoked_at::text from api_keys order by name`,
  )
  assert.deepEqual(keys.rows, [
    { id: revoked, agent_id: revoked, expires_at: null, scopes: 5, revoked_at: '2026-02-01 00:00:00+00' },
    { id: used, agent_id: used, expires_at: null, scopes: 5, revoked_at: null },
  ])
  const forced = await client.query(
    `select bool_and(relrowsecurity and relforcerowsecurity) as forced from pg_class
     where oid = any('{agents,api_keys,organizations,consultation_requests}'::regclass[])`,
  )
  assert.equal(forced.rows[0].forced, true)
})

test('an old key goes on: it sees what it asked, never expires by itself, and asks anew', async () => {
  const clock = createFakeClock()
  const log = createLog('silent', false)
  const app = await createApp({ config: testConfig(), secretKey, connection, log, clock })
  try {
    const call = (method: 'GET' | 'POST', path: string, body?: object) =>
      app.http.inject({
        method,
        url: `/api/v1${path}`,
        headers: { authorization: `Bearer ${raw}` },
        ...(body === undefined ? {} : { payload: body }),
      })
    const seen = (await call('GET', `/requests/${requestId}`)).json()
    assert.deepEqual([seen.agent_id, seen.api_key_id, seen.agent_paused], [used, used, false])
    assert.equal((await call('GET', '/requests')).json().total, 1)
    clock.advance(10 * 365 * 86_400_000)
    const made = await call('POST', '/requests', { title: 'Another', context: {} })
    assert.equal(made.statusCode, 201, made.body)
    assert.equal(made.json().agent_id, used)
    assert.equal(made.headers['api-key-expires'], undefined)
  } finally {
    await app.stop()
  }
})
