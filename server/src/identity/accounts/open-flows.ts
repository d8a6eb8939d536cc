import type { Queryable, Statement } from '../../platform/database/db.ts'
import { mayEnter } from './store.ts'

/** Something that a session began and that is finished later: a new factor, another address, a linked identity. */
export interface OpenFlow {
  readonly accountId: string
  readonly sessionId: string | null
  readonly createdAt: Date
}

// A first second factor voids what was begun without one: it may be a thief's, who had the session before.
const finishable: Statement = {
  name: 'accounts_finishable_flow',
  text: `select from sessions s
    join users u on u.organization_id = s.organization_id and u.id = s.user_id
    join organizations o on o.organization_id = s.organization_id
    where s.account_id = $1 and s.id = $2 and s.revoked_at is null and s.expires_at > $3 and s.idle_until > $3
      and ${mayEnter}
      and coalesce((select min(f.since) from (
        select created_at as since from passkeys where account_id = $1
        union all
        select confirmed_at from totp_factors where account_id = $1 and confirmed_at is not null) f) <= $4, true)
    for share of s`,
}

/**
 * Whether the flow may be finished: its session is live, and the account had a second factor when it began, or has none. The
 * scope is the account. A call that ends the session in this moment waits for this transaction.
 */
export async function mayFinish(
  tx: Queryable,
  { accountId, sessionId, createdAt }: OpenFlow,
  now: Date,
): Promise<boolean> {
  return (await tx.execute(finishable, [accountId, sessionId, now, createdAt])).length === 1
}
