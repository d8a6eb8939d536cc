import type { Selectable } from 'kysely'
import type { Earlier } from '../idempotency.ts'
import { type Queryable, sql } from './db.ts'
import type { Schema } from './schema.gen.ts'

/** Tables whose rows keep who made them under which Idempotency-Key. */
type Keyed = 'api_keys' | 'identity_providers' | 'invitations' | 'teams'

/** Finds what `createdBy` made in the organization with this Idempotency-Key. */
export function earlierIn<Table extends Keyed, Made>(
  table: Table,
  toMade: (row: Selectable<Schema[Table]>) => Made,
): (db: Queryable, organizationId: string, createdBy: string, key: string) => Promise<Earlier<Made> | null> {
  return async (db, organizationId, createdBy, key) => {
    const query = sql
      .selectFrom<Keyed>(table)
      .selectAll()
      .where('organization_id', '=', organizationId)
      .where('created_by', '=', createdBy)
      .where('idempotency_key', '=', key)
    const [row] = await db.run(query)
    if (row === undefined) return null
    return { made: toMade(row as unknown as Selectable<Schema[Table]>), hash: row.idempotency_hash }
  }
}
