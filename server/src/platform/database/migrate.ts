import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type pg from 'pg'
import { grantAccess } from './application-role.ts'
import { withClient } from './client.ts'
import type { Connection } from './db.ts'
import { sqlState } from './errors.ts'

export interface Migration {
  readonly name: string
  readonly sql: string
  readonly checksum: string
}

const folder = join(import.meta.dirname, '../../../migrations')

/** Any constant works as long as every process uses the same: these are the letters HITL. */
const lockKey = 0x4849544c

/** The migrations of this version, in order. Line ends are normalised, so that a Windows checkout has the same checksums. */
export async function loadMigrations(from = folder): Promise<readonly Migration[]> {
  const names = (await readdir(from)).filter((name) => /^\d{4}_[a-z0-9_]+\.sql$/.test(name)).sort()
  return Promise.all(
    names.map(async (name) => {
      const sql = (await readFile(join(from, name), 'utf8')).replaceAll('\r\n', '\n')
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') }
    }),
  )
}

/**
 * Brings the schema and the rights of the application's role up to date, and returns the names of the migrations applied.
 * Forward only; each file in its own transaction, under a lock of that transaction, so that any number of processes may call
 * it at once, also through a transaction-mode pooler. One that a deadlock rolled back is tried again. Refuses when an applied file was changed, or when the database is
 * ahead of this version.
 */
export async function migrate(connection: Connection, migrations?: readonly Migration[]): Promise<readonly string[]> {
  const wanted = migrations ?? (await loadMigrations())
  return withClient(connection, async (client) => {
    const applied: string[] = []
    for (;;) {
      const name = await underLock(client, () => applyNext(client, wanted))
      if (name === null) break
      applied.push(name)
    }
    // Any other list of migrations has other tables.
    if (migrations === undefined) {
      await underLock(client, () => finish(client))
    }
    return applied
  })
}

async function finish(client: pg.Client): Promise<void> {
  await grantAccess(client)
  // After a dump is restored, transaction numbers start over, which events must record (0008_audit.sql).
  await client.query('select hitl_audit_begin_era()')
}

/**
 * The same within the caller's transaction: all of it or nothing. `fill` puts rows into the tables as the migrations `filled`
 * left them; then come the later ones.
 */
export async function migrateAround(
  client: pg.Client,
  filled: readonly string[],
  fill: () => Promise<void>,
): Promise<void> {
  await client.query('select pg_advisory_xact_lock($1)', [lockKey])
  const wanted = await loadMigrations()
  const before = wanted.filter(({ name }) => filled.includes(name))
  while ((await applyNext(client, before)) !== null) {}
  await fill()
  while ((await applyNext(client, wanted)) !== null) {}
  await finish(client)
}

/** SQLSTATE (PostgreSQL, appendix A). */
const deadlockDetected = '40P01'
const mostTries = 5

/** Processes that run meanwhile may hold what a migration needs and wait for what it has: then it was rolled back, and is tried again. */
async function underLock<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
  for (let tried = 1; ; tried += 1) {
    try {
      return await onceUnderLock(client, work)
    } catch (error) {
      const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
      if (tried >= mostTries || sqlState(cause) !== deadlockDetected) throw error
    }
  }
}

async function onceUnderLock<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
  await client.query('begin')
  try {
    await client.query('select pg_advisory_xact_lock($1)', [lockKey])
    const result = await work()
    await client.query('commit')
    return result
  } catch (error) {
    await client.query('rollback')
    throw error
  }
}

/** Applies the next migration, in the caller's transaction, and returns its name; null when there is none. */
async function applyNext(client: pg.Client, wanted: readonly Migration[]): Promise<string | null> {
  await client.query(`create table if not exists schema_migrations (
    name text primary key, checksum text not null, applied_at timestamptz not null default now())`)
  const [next] = missingOf(wanted, await appliedTo(client))
  if (next === undefined) return null
  await client.query(next.sql).catch((cause: Error) => {
    throw new Error(`Migration ${next.name} failed and was rolled back: ${cause.message}`, { cause })
  })
  await client.query('insert into schema_migrations (name, checksum) values ($1, $2)', [next.name, next.checksum])
  return next.name
}

export type Applied = Pick<Migration, 'name' | 'checksum'>

/** The migrations that the database has. */
export async function appliedTo(client: pg.Client): Promise<readonly Applied[]> {
  return (await client.query<Applied>('select name, checksum from schema_migrations order by name')).rows
}

/** Throws when the database is ahead of this version, or was made with other files. */
export function missingOf(wanted: readonly Migration[], applied: readonly Applied[]): readonly Migration[] {
  const known = new Map(wanted.map((migration) => [migration.name, migration.checksum]))
  for (const { name, checksum } of applied) {
    const expected = known.get(name)
    if (expected === undefined) {
      throw new Error(`The database holds migration ${name}, which this version does not know. Run the newer version.`)
    }
    if (expected !== checksum) {
      throw new Error(`Migration ${name} was changed after it was applied. Restore the file and add a new one instead.`)
    }
  }
  return wanted.filter(({ name }) => !applied.some((done) => done.name === name))
}

/** The migrations that the database lacks; changes nothing. Refuses as `migrate` does. */
export async function missingMigrations(connection: Connection): Promise<readonly string[]> {
  const wanted = await loadMigrations()
  return withClient({ ...connection, connectionTimeoutMillis: 10_000 }, async (client) => {
    const { rows } = await client.query<{ there: boolean }>(
      "select to_regclass('schema_migrations') is not null as there",
    )
    return missingOf(wanted, rows[0]?.there ? await appliedTo(client) : []).map(({ name }) => name)
  })
}
