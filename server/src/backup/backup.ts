import type { Readable } from 'node:stream'
import { type Client, withClient } from '../platform/database/client.ts'
import type { Connection } from '../platform/database/db.ts'
import { appliedTo, loadMigrations, missingOf } from '../platform/database/migrate.ts'
import { refusal } from '../platform/problem.ts'
import { type End, encode, type Header } from './archive.ts'
import * as store from './store.ts'

const nothingThere = refusal(
  409,
  'backup.nothing_there',
  'There is nothing to back up: the database has no tables yet. Check DATABASE_URL or DATA_DIR, and the folder you are in.',
)

const rowsHidden = refusal(
  409,
  'backup.rows_hidden',
  (role: string) =>
    `Row-level security hides rows from the role "${role}", so its backup would lack them. Run the backup as the role that owns the tables, after "hitl migrate", or as one made with: create role hitl_backup login bypassrls in role pg_read_all_data`,
  'hitl_app',
)

export interface BackupOptions {
  readonly connection: Connection
  readonly version: string
  /** Null where there is no SECRET_KEY. */
  readonly secretKeyCheck: string | null
}

export interface Made extends End {
  readonly createdAt: string
  readonly tables: number
}

/**
 * Reads every row as of one moment, while services run, and gives the file's bytes to `write`. The transaction only reads: it
 * holds nobody up, and seals go on.
 */
export function backUp(
  { connection, version, secretKeyCheck }: BackupOptions,
  write: (bytes: Readable) => Promise<void>,
): Promise<Made> {
  return withClient(connection, async (client) => {
    await store.beginReading(client)
    if ((await store.relations(client)) === 0) throw nothingThere()
    const all = await store.tables(client)
    if (all.some(({ isLimited }) => isLimited)) throw rowsHidden(client.user ?? '')
    const header = {
      ...(await headerOf(client, version)),
      ...(secretKeyCheck === null ? {} : { secret_key_check: secretKeyCheck }),
    }
    async function* sections() {
      for (const table of all) yield { table: table.name, columns: table.columns, rows: store.readRows(client, table) }
    }
    let end: End | null = null
    await write(
      encode(header, sections(), (made) => {
        end = made
      }),
    )
    if (end === null) throw new Error('the backup was not written to its end')
    await client.query('commit')
    return { ...(end as End), createdAt: header.created_at, tables: all.length }
  })
}

async function headerOf(client: Client, version: string): Promise<Header> {
  const migrations = await appliedTo(client)
  // Throws where the database is of a newer version: this one does not know what its rows mean.
  missingOf(await loadMigrations(), migrations)
  const { era, createdAt } = await store.facts(client)
  const keys = await store.dataKeys(client)
  return {
    hitl_backup: 1,
    version,
    created_at: createdAt.toISOString(),
    migrations: [...migrations],
    era,
    data_keys: keys.map((key) => ({ ...key, wrapped: key.wrapped.toString('base64') })),
  }
}
