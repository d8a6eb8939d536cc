import type { Readable } from 'node:stream'
import * as events from '../events/store.ts'
import { bySystem, factBy } from '../facts/fact.ts'
import type { Clock } from '../platform/clock.ts'
import { type Client, withClient } from '../platform/database/client.ts'
import type { Connection } from '../platform/database/db.ts'
import { loadMigrations, migrateAround, missingOf } from '../platform/database/migrate.ts'
import { installationId, newId } from '../platform/ids.ts'
import { refusal } from '../platform/problem.ts'
import type { WrappedKey } from '../platform/secrets/key-encryption.ts'
import * as copies from '../restored/store.ts'
import { damaged, decode, type Header, type TableRows } from './archive.ts'
import * as store from './store.ts'

const notEmpty = refusal(
  409,
  'restore.not_empty',
  'A backup is restored into an empty database only, and this one has tables. Set DATA_DIR to a new folder, or DATABASE_URL to a new database; nothing was changed.',
)

export interface RestoreOptions {
  readonly connection: Connection
  /**
   * Throws where the settings lack a key that opens these, or have another SECRET_KEY: the copy would seem to work, and every
   * decision or every waiting callback would fail.
   */
  readonly refuseKeys: (keys: readonly WrappedKey[], secretKeyCheck?: string) => void
  readonly clock: Clock
}

export interface Restored {
  readonly backedUpAt: string
  readonly version: string
  readonly sha256: string
  readonly rows: number
}

/** Fills an empty database with a backup, in one transaction: all of it, or nothing where anything is wrong with it. */
export async function restore({ connection, refuseKeys, clock }: RestoreOptions, source: Readable): Promise<Restored> {
  const { header, tables, end } = await decode(source)
  await refuseNewer(header)
  const keys = header.data_keys.map((key) => ({ ...key, wrapped: Buffer.from(key.wrapped, 'base64') }))
  refuseKeys(keys, header.secret_key_check)
  return withClient(connection, async (client) => {
    await store.beginFilling(client)
    if ((await store.relations(client)) > 0) throw notEmpty()
    let rows = 0
    const filled = header.migrations.map(({ name }) => name)
    await migrateAround(client, filled, async () => {
      rows = await fill(client, tables)
      await store.beginEra(client, header.era + 1)
    })
    const { sha256 } = end()
    await tell(client, header, sha256, clock.now())
    await client.query('commit')
    return { backedUpAt: header.created_at, version: header.version, sha256, rows }
  })
}

/** Throws where a newer version, or another line of migrations, made it. */
async function refuseNewer({ migrations, version }: Header): Promise<void> {
  try {
    missingOf(await loadMigrations(), migrations)
  } catch (error) {
    throw damaged(`version ${version} made it, and this version cannot read it (${(error as Error).message})`)
  }
}

async function fill(client: Client, sections: AsyncIterable<TableRows>): Promise<number> {
  const known = new Map((await store.tables(client)).map((table) => [table.name, table]))
  let rows = 0
  for await (const section of sections) {
    const table = known.get(section.table)
    // Taken off, so that none comes twice, and what is left over is missing.
    known.delete(section.table)
    if (table === undefined || !sameNames(table.columns, section.columns)) {
      throw damaged('it has other tables than the version that made it')
    }
    rows += await store.fillTable(client, table, section.rows)
  }
  if (known.size > 0) throw damaged(`it lacks the tables ${[...known.keys()].join(', ')}`)
  return rows
}

const sameNames = (some: readonly string[], others: readonly string[]): boolean => some.join() === others.join()

/** Holds callbacks and mail, and says in each audit that it was restored. */
async function tell(client: Client, header: Header, sha256: string, now: Date): Promise<void> {
  const { created_at, version } = header
  const copy = {
    id: newId(),
    backedUpAt: new Date(created_at),
    backupSha256: Buffer.from(sha256, 'hex'),
    restoredAt: now,
  }
  await copies.insert(await store.enter(client, installationId), copy)
  const after = { backed_up_at: created_at, backup_sha256: sha256, version }
  for (const id of [installationId, ...(await store.organizations(client))]) {
    const fact = factBy(bySystem(id), 'audit.restored', ['organization', id], { after, occurredAt: now })
    await events.insert(await store.enter(client, id), [{ ...fact, id: newId() }])
  }
}
