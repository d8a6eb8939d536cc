import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import type { Connection } from './db.ts'

export interface Migration {
  readonly name: string
  readonly sql: string
  readonly checksum: string
}

const folder = join(import.meta.dirname, '../../migrations')

/** Any constant works as long as every process uses the same: these are the letters HITL. */
const lockKey = 0x4849544c

/** The migrations that this version carries, in order. Line ends are normalised, so that a Windows checkout agrees. */
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
 * Brings the schema up to date and answers the names that were applied now. Forward only; each file in a transaction of
 * its own; any number of processes may call it at once (advisory lock). Refuses when an applied file was changed, or when
 * the database is ahead of this version.
 */
export async function migrate(connection: Connection, migrations?: readonly Migration[]): Promise<readonly string[]> {
  const wanted = migrations ?? (await loadMigrations())
  const client = new pg.Client(connection)
  await client.connect()
  try {
    await client.query('select pg_advisory_lock($1)', [lockKey])
    await client.query(`create table if not exists schema_migrations (
      name text primary key, checksum text not null, applied_at timestamptz not null default now())`)
    const applied = await client.query<{ name: string; checksum: string }>(
      'select name, checksum from schema_migrations',
    )
    refuseDrift(wanted, applied.rows)
    const done = new Set(applied.rows.map((row) => row.name))
    const missing = wanted.filter((migration) => !done.has(migration.name))
    for (const migration of missing) await apply(client, migration)
    return missing.map((migration) => migration.name)
  } finally {
    await client.end()
  }
}

function refuseDrift(wanted: readonly Migration[], applied: readonly { name: string; checksum: string }[]): void {
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
}

async function apply(client: pg.Client, { name, sql, checksum }: Migration): Promise<void> {
  try {
    await client.query('begin')
    await client.query(sql)
    await client.query('insert into schema_migrations (name, checksum) values ($1, $2)', [name, checksum])
    await client.query('commit')
  } catch (cause) {
    await client.query('rollback')
    throw new Error(`Migration ${name} failed and was rolled back: ${(cause as Error).message}`, { cause })
  }
}
