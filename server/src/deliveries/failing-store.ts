import { type Queryable, sql } from '../platform/database/db.ts'

export interface FailingReceiver {
  readonly organizationId: string
  readonly target: string
  /** Deliveries that were tried in vain and wait for the next attempt. */
  readonly waiting: number
  /** Of the one that was tried most often. */
  readonly attempts: number
}

const lookedAt = 10_000
const listed = 20

/** The receivers with the most deliveries that were tried in vain, among the first of those that wait. The scope is a worker's. */
export function failingReceivers(db: Queryable): Promise<readonly FailingReceiver[]> {
  const waiting = sql
    .selectFrom('deliveries')
    .select(['organization_id', 'target', 'attempts'])
    .where('due_at', 'is not', null)
    .where('attempts', '>', 0)
    .limit(lookedAt)
  const query = sql
    .selectFrom(waiting.as('d'))
    .select(['organization_id as organizationId', 'target'])
    .select(({ fn }) => [fn.countAll<number>().as('waiting'), fn.max<number>('attempts').as('attempts')])
    .groupBy(['organization_id', 'target'])
    .orderBy('waiting', 'desc')
    .limit(listed)
  return db.run(query)
}
