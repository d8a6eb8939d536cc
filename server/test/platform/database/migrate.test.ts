import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import type { Connection } from '../../../src/platform/database/db.ts'
import { loadMigrations, type Migration, migrate } from '../../../src/platform/database/migrate.ts'
import { eventually } from '../../eventually.ts'
import { cloneDatabase, createEmptyDatabase } from '../../harness.ts'

const migration = (name: string, sql: string): Migration => ({
  name,
  sql,
  checksum: createHash('sha256').update(sql).digest('hex'),
})
const one = migration('0001_one.sql', 'create table one (id integer); insert into one values (1)')
const two = migration('0002_two.sql', 'create table two (id integer); insert into two values (2)')

async function query(connection: Connection, text: string): Promise<readonly Record<string, unknown>[]> {
  const client = new pg.Client(connection)
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

/** Runs `work` on an empty database. */
async function onEmptyDatabase(work: (connection: Connection) => Promise<void>): Promise<void> {
  const database = await createEmptyDatabase()
  try {
    await work(database.connection)
  } finally {
    await database.drop()
  }
}

const tables = async (connection: Connection): Promise<readonly unknown[]> =>
  (
    await query(connection, `select table_name from information_schema.tables where table_schema = 'public' order by 1`)
  ).map((row) => row.table_name)

describe('migrate', () => {
  test('applies the missing migrations in order, and then nothing', () =>
    onEmptyDatabase(async (connection) => {
      assert.deepEqual(await migrate(connection, [one]), ['0001_one.sql'])
      assert.deepEqual(await migrate(connection, [one, two]), ['0002_two.sql'])
      assert.deepEqual(await migrate(connection, [one, two]), [])
      assert.deepEqual(await tables(connection), ['one', 'schema_migrations', 'two'])
      assert.deepEqual(await query(connection, 'select name, checksum from schema_migrations order by name'), [
        { name: one.name, checksum: one.checksum },
        { name: two.name, checksum: two.checksum },
      ])
    }))

  test('one that meets a deadlock with a running process is rolled back, and tried again', () =>
    onEmptyDatabase(async (connection) => {
      await migrate(connection, [one])
      // Held up in between, so that the transaction below waits for it before it needs the stronger lock.
      const sql = 'create index on one (id); select pg_advisory_xact_lock(1); alter table one add column name text'
      const stronger = migration('0002_stronger.sql', sql)
      const [running, holding] = [new pg.Client(connection), new pg.Client(connection)]
      await Promise.all([running.connect(), holding.connect()])
      const waiting = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
      const untilWaiting = (count: number) =>
        eventually(`${count} wait`, async () => (await query(connection, waiting)).length === count)
      try {
        await holding.query('select pg_advisory_lock(1)')
        await running.query('begin')
        await running.query('select from one')
        const migrated = migrate(connection, [one, stronger])
        await untilWaiting(1)
        const written = running.query('insert into one values (3)')
        await untilWaiting(2)
        await holding.query('select pg_advisory_unlock(1)')
        await written
        await running.query('commit')
        assert.deepEqual(await migrated, ['0002_stronger.sql'])
      } finally {
        await Promise.all([running.end(), holding.end()])
      }
      const rows = await query(connection, 'select id, name from one order by id')
      assert.deepEqual(
        rows.map(({ id, name }) => [id, name]),
        [1, 3].map((id) => [id, null]),
      )
    }))

  test('applies each migration once when eight processes start at once', () =>
    onEmptyDatabase(async (connection) => {
      const applied = await Promise.all(Array.from({ length: 8 }, () => migrate(connection, [one, two])))
      // Each was applied by one process, whichever had the lock.
      assert.deepEqual(applied.flat().sort(), [one.name, two.name])
      assert.deepEqual(await query(connection, 'select count(*)::int as rows from one'), [{ rows: 1 }])
    }))

  test('refuses if an applied file was changed, and applies nothing', () =>
    onEmptyDatabase(async (connection) => {
      await migrate(connection, [one])
      const changed = migration(one.name, `${one.sql};`)
      await assert.rejects(migrate(connection, [changed, two]), /0001_one\.sql was changed after it was applied/)
      assert.deepEqual(await tables(connection), ['one', 'schema_migrations'])
    }))

  test('refuses a database that is ahead of this version, naming the migration', () =>
    onEmptyDatabase(async (connection) => {
      await migrate(connection, [one, two])
      await assert.rejects(
        migrate(connection, [one]),
        /holds migration 0002_two\.sql, which this version does not know/,
      )
    }))

  test('a migration that fails is rolled back and named; earlier ones stay; once repaired, it is applied', () =>
    onEmptyDatabase(async (connection) => {
      const broken = migration('0002_two.sql', 'create table two (id integer); insert into nowhere values (1)')
      await assert.rejects(
        migrate(connection, [one, broken]),
        /Migration 0002_two\.sql failed and was rolled back: .*nowhere/,
      )
      assert.deepEqual(await tables(connection), ['one', 'schema_migrations'])
      assert.deepEqual(await migrate(connection, [one, two]), ['0002_two.sql'])
    }))

  test('applies the migrations of this version to an empty database', () =>
    onEmptyDatabase(async (connection) => {
      const applied = await migrate(connection)
      assert.deepEqual(
        applied,
        (await loadMigrations()).map(({ name }) => name),
      )
      assert.deepEqual(await migrate(connection), [])
    }))
})

describe('loadMigrations', () => {
  test('no two migrations have one number: their order would depend on their names', async () => {
    const numbers = (await loadMigrations()).map(({ name }) => name.slice(0, 4))
    assert.deepEqual(numbers, [...new Set(numbers)])
  })

  test('reads only numbered files, in order; line ends make no difference', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'migrations-'))
    try {
      for (const [name, sql] of [
        ['0010_b.sql', 'select 1;\r\nselect 2;\r\n'],
        ['0002_a.sql', 'select 1;\nselect 2;\n'],
        ['readme.md', ''],
        ['0003_c.sql.bak', ''],
        ['3_x.sql', ''],
      ] as const) {
        await writeFile(join(folder, name), sql)
      }
      const loaded = await loadMigrations(folder)
      assert.deepEqual(
        loaded.map(({ name }) => name),
        ['0002_a.sql', '0010_b.sql'],
      )
      assert.equal(loaded[0]?.checksum, loaded[1]?.checksum)
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})

/**
 * Tables that belong to no organization: how people sign in, and what the installation counts and signs with. Everything else
 * belongs to a tenant and has the organization first in every key.
 */
const installationWide: ReadonlySet<unknown> = new Set([
  'accounts',
  'account_links',
  'attempt_tallies',
  'passkeys',
  'passkey_challenges',
  'rate_limits',
  'recovery_codes',
  'refresh_tokens',
  'schema_access',
  'schema_migrations',
  'sessions',
  'sign_in_challenges',
  'signing_keys',
  'step_ups',
  'totp_factors',
])

/** Keys that link a tenant's row to something installation-wide, or must be unique among all tenants. */
const crossTenant: ReadonlySet<unknown> = new Set([
  'users_account_id_fkey',
  'organizations_by_idempotency_key',
  'organizations_default',
])

describe('the schema', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>
  before(async () => {
    database = await cloneDatabase()
  })
  after(() => database.drop())

  test('every primary key, unique key and foreign key of a tenant begins with organization_id', async () => {
    const keys = await query(
      database.connection,
      `select c.conrelid::regclass::text as table, c.conname as name, a.attname as first, c.contype::text as kind
       from pg_constraint c join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
       where c.contype in ('p', 'u', 'f') and c.connamespace = 'public'::regnamespace
       union all
       select i.indrelid::regclass::text, i.indexrelid::regclass::text, coalesce(a.attname, 'an expression'), 'unique index'
       from pg_index i join pg_class r on r.oid = i.indrelid
       left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
       where i.indisunique and r.relnamespace = 'public'::regnamespace`,
    )
    const ours = keys.filter((key) => !installationWide.has(key.table))
    assert.deepEqual(
      ours.filter((key) => key.first !== 'organization_id' && !crossTenant.has(key.name)),
      [],
    )
    const withPrimaryKey = new Set(ours.filter((key) => key.kind === 'p').map((key) => key.table))
    const all = (await tables(database.connection)).filter((name) => !installationWide.has(name))
    assert.deepEqual([...withPrimaryKey].sort(), all)
  })

  test('foreign keys reach their target by organization_id too', async () => {
    const targets = await query(
      database.connection,
      `select c.conrelid::regclass::text as table, c.conname as name, a.attname as first from pg_constraint c
       join pg_attribute a on a.attrelid = c.confrelid and a.attnum = c.confkey[1]
       where c.contype = 'f' and c.connamespace = 'public'::regnamespace`,
    )
    assert.ok(targets.length >= 5)
    assert.deepEqual(
      targets.filter(
        (key) => key.first !== 'organization_id' && !crossTenant.has(key.name) && !installationWide.has(key.table),
      ),
      [],
    )
  })

  test('events can be appended but never changed, deleted or truncated', async () => {
    await query(
      { ...database.connection, user: 'postgres' },
      `insert into events (organization_id, id, kind, subject_kind, subject_id, actor_kind, occurred_at, record)
       values (gen_random_uuid(), gen_random_uuid(), 'x.tried', 'request', gen_random_uuid(), 'system', now(), '{}')`,
    )
    for (const statement of [`update events set kind = 'y.tried'`, 'delete from events', 'truncate events']) {
      await assert.rejects(query({ ...database.connection, user: 'postgres' }, statement), /append-only/)
    }
  })

  test('times are kept to the millisecond, in timestamptz', async () => {
    const others = await query(
      database.connection,
      `select table_name, column_name, data_type, datetime_precision from information_schema.columns
       where table_schema = 'public' and table_name not like 'schema_%'
         and (data_type like 'timestamp%' or data_type in ('date', 'time without time zone'))
         and (data_type <> 'timestamp with time zone' or datetime_precision <> 3)`,
    )
    assert.deepEqual(others, [])
  })
})
