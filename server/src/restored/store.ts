import { type Queryable, sql, type Tx } from '../platform/database/db.ts'
import { installationId } from '../platform/ids.ts'

/** A backup that was restored into this database. */
export interface RestoredCopy {
  readonly id: string
  readonly backedUpAt: Date
  readonly backupSha256: Buffer
  readonly restoredAt: Date
}

export async function insert(tx: Queryable, { id, backedUpAt, backupSha256, restoredAt }: RestoredCopy): Promise<void> {
  await tx.run(
    sql.insertInto('restored_copies').values({
      organization_id: installationId,
      id,
      backed_up_at: backedUpAt,
      backup_sha256: backupSha256,
      restored_at: restoredAt,
    }),
  )
}

/** The latest copy that is not released; null: nothing is held. */
export async function findHeld(db: Queryable): Promise<RestoredCopy | null> {
  const query = sql
    .selectFrom('restored_copies')
    .select(['id', 'backed_up_at as backedUpAt', 'backup_sha256 as backupSha256', 'restored_at as restoredAt'])
    .where('organization_id', '=', installationId)
    .where('released_at', 'is', null)
    .orderBy('restored_at', 'desc')
    .limit(1)
  return (await db.run(query))[0] ?? null
}

/** Returns whether anything was held. */
export async function release(tx: Tx, now: Date): Promise<boolean> {
  const query = sql
    .updateTable('restored_copies')
    .set({ released_at: now })
    .where('organization_id', '=', installationId)
    .where('released_at', 'is', null)
    .returning('id')
  return (await tx.run(query)).length > 0
}

export interface Waiting {
  readonly callbacks: number
  readonly letters: number
}

/** Across organizations: the scope is a worker's. */
export async function countWaiting(db: Queryable): Promise<Waiting> {
  const count = (table: 'deliveries' | 'letters') =>
    sql
      .selectFrom(table)
      .select((column) => column.fn.countAll<number>().as('count'))
      .where('due_at', 'is not', null)
  const [[callbacks], [letters]] = await Promise.all([db.run(count('deliveries')), db.run(count('letters'))])
  return { callbacks: callbacks?.count ?? 0, letters: letters?.count ?? 0 }
}
