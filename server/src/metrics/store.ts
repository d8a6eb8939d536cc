import type { Db, Statement } from '../platform/database/db.ts'
import { installationId } from '../platform/ids.ts'

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

const timer: Statement = {
  name: 'metrics_timer',
  text: `select c.next_action_at from consultation_requests c where c.next_action_at <= $1
    order by c.next_action_at limit 1`,
}

/** Since when the request waits that should have timed out or been released first; null: none waits. */
export async function oldestDueTimer(db: Db, now: Date): Promise<Date | null> {
  const rows = await db.within({ worker: true }).execute<{ next_action_at: Date }>(timer, [now])
  return rows[0]?.next_action_at ?? null
}

export interface ExpiringKeys {
  readonly organization_id: string
  readonly expiring: number
}

const keys: Statement = { name: 'metrics_expiring_keys', text: 'select * from hitl_expiring_keys($1, $2, $3)' }

/** How many API keys that are in use expire soon, in each of the next organizations after this one. */
export function expiringKeysAfter(db: Db, after: string | null, atMost: number, now: Date) {
  return db.within({ worker: true }).execute<ExpiringKeys>(keys, [after, atMost, now])
}

const signing: Statement = {
  name: 'metrics_signing_keys',
  text: 'select s.purpose, s.active_at from signing_keys s where s.organization_id = $1 and s.retired_at is null',
}

/** The keys that sign, one for each purpose. */
export function signingKeys(db: Db) {
  const scope = { organizationId: installationId }
  return db.within(scope).execute<{ purpose: string; active_at: Date }>(signing, [installationId])
}
