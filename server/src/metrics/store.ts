import type { Db, Statement } from '../platform/database/db.ts'

export interface Waiting {
  readonly organization_id: string
  readonly open: number
  readonly open_high: number
  readonly open_critical: number
  readonly oldest: Date | null
  readonly oldest_high: Date | null
  readonly oldest_critical: Date | null
  readonly due: number
  readonly oldest_due: Date | null
  readonly unsealed: number
  readonly oldest_unsealed: Date | null
}

const statement: Statement = { name: 'metrics_backlog', text: 'select * from hitl_backlog($1, $2, $3)' }

/** What waits in each of the next organizations after this one. */
export function waitingAfter(db: Db, after: string | null, atMost: number, now: Date): Promise<readonly Waiting[]> {
  return db.within({ worker: true }).execute<Waiting>(statement, [after, atMost, now])
}
