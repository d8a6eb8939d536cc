import { TLSSocket } from 'node:tls'
import pg from 'pg'
import type { Connection } from './db.ts'

export interface DatabaseReport {
  /** As the server reports it, such as 18.1. */
  readonly version: string
  readonly major: number
  readonly user: string
  readonly database: string
  /** The protocol of the encrypted connection; null when it is not encrypted. */
  readonly tls: string | null
  readonly superuser: boolean
  readonly makesRoles: boolean
  /** How far the database's clock is ahead of this machine's (positive) or behind it. */
  readonly clockOffsetMs: number
}

interface Row {
  readonly version: string
  readonly number: number
  readonly user: string
  readonly database: string
  readonly superuser: boolean
  readonly makes_roles: boolean
  readonly now: string
}

/** One look at the database, on a connection of its own. */
export async function reportOn(connection: Connection): Promise<DatabaseReport> {
  const client = new pg.Client({ ...connection, connectionTimeoutMillis: 10_000 }).on('error', () => {})
  await client.connect()
  try {
    const askedAt = Date.now()
    const { rows } = await client.query<Row>(
      `select current_setting('server_version') as version, current_setting('server_version_num')::int as number,
         current_user as user, current_database() as database,
         me.rolsuper as superuser, me.rolsuper or me.rolcreaterole as makes_roles,
         extract(epoch from clock_timestamp())::text as now
       from pg_roles me where me.rolname = current_user`,
    )
    const answeredAt = Date.now()
    const row = rows[0]
    if (row === undefined) throw new Error('the database returned nothing')
    // The driver's socket, not pg_stat_ssl: behind a pooler that describes the pooler's own connection.
    const { stream } = (client as unknown as { connection: { stream: unknown } }).connection
    return {
      version: row.version,
      major: Math.floor(row.number / 10_000),
      user: row.user,
      database: row.database,
      tls: stream instanceof TLSSocket ? stream.getProtocol() : null,
      superuser: row.superuser,
      makesRoles: row.makes_roles,
      clockOffsetMs: Math.round(Number(row.now) * 1_000 - (askedAt + answeredAt) / 2),
    }
  } finally {
    await client.end()
  }
}
