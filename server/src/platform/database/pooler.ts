import { withClient } from './client.ts'
import { type Connection, sessionStart } from './db.ts'

/**
 * Whether the database keeps what the service sets at the start of a session. A pooler like PgBouncer refuses that, or ignores
 * it where `ignore_startup_parameters` says so, and hands each transaction to another session.
 */
export async function keepsSessions(connection: Connection): Promise<boolean> {
  const start = { ...connection, ...sessionStart('lookups', 10_000), connectionTimeoutMillis: 10_000 }
  try {
    return await withClient(start, async (client) => {
      const { rows } = await client.query<{ kept: boolean }>(`select current_setting('enable_seqscan') = 'off' as kept`)
      return rows[0]?.kept === true
    })
  } catch (error) {
    if (/^unsupported startup parameter/.test((error as Error).message)) return false
    throw error
  }
}

export const poolerInBetween =
  'DATABASE_PREPARE must be false: a pooler in front of the database (PgBouncer) does not keep the settings of a session'
