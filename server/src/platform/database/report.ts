import { TLSSocket } from 'node:tls'
import { withClient } from './client.ts'
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

/** One look at the database, on a connection of its own. */
export function reportOn(connection: Connection): Promise<DatabaseReport> {
  return withClient({ ...connection, connectionTimeoutMillis: 10_000 }, async (client) => {
    const askedAt = Date.now()
    const { rows } = await client.query<Omit<DatabaseReport, 'tls' | 'clockOffsetMs'> & { readonly seconds: string }>(
      `select current_setting('server_version') as version, current_setting('server_version_num')::int / 10000 as major,
         current_user as user, current_database() as database,
         me.rolsuper as superuser, me.rolsuper or me.rolcreaterole as "makesRoles",
         extract(epoch from clock_timestamp())::text as seconds
       from pg_roles me where me.rolname = current_user`,
    )
    const answeredAt = Date.now()
    if (rows[0] === undefined) throw new Error('the database returned nothing')
    const { seconds, ...reported } = rows[0]
    // The driver's socket, not pg_stat_ssl: behind a pooler that describes the pooler's own connection.
    const { stream } = (client as unknown as { connection: { stream: unknown } }).connection
    const tls = stream instanceof TLSSocket ? stream.getProtocol() : null
    return { ...reported, tls, clockOffsetMs: Math.round(Number(seconds) * 1_000 - (askedAt + answeredAt) / 2) }
  })
}
