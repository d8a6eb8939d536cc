import { type Queryable, type Statement, sql } from '../../platform/database/db.ts'
import { sessionOver } from '../authenticate.ts'
import type { Person } from '../principal.ts'
import type { FactorState } from './factor.ts'

const lock: Statement = { name: 'factors_lock_account', text: 'select from accounts where id = $1 for update' }
const sessionIsOver: Statement = {
  name: 'factors_session_is_over',
  text: 'select from sessions where account_id = $1 and id = $2 and revoked_at is not null',
}

/**
 * Changes of one account's factors take turns, because those that are left decide whether it has a second factor at all.
 * Throws 401 when the caller's session has ended meanwhile: after a new password was set, an intruder's open session must
 * not add a factor.
 */
export async function lockAccount(tx: Queryable, { accountId, sessionId }: Person): Promise<void> {
  await tx.execute(lock, [accountId])
  if (sessionId === undefined) return
  if ((await tx.execute(sessionIsOver, [accountId, sessionId])).length > 0) throw sessionOver()
}

export async function emailOf(db: Queryable, accountId: string): Promise<string | null> {
  const [row] = await db.run(sql.selectFrom('accounts').select('email').where('id', '=', accountId))
  return row?.email ?? null
}

/** Null: this person signs in by other means. */
export async function passwordOf(db: Queryable, accountId: string): Promise<string | null> {
  const [row] = await db.run(sql.selectFrom('accounts').select('password_hash').where('id', '=', accountId))
  return row?.password_hash ?? null
}

const readState: Statement = {
  name: 'factors_state',
  text: `
    select exists (select from accounts where id = $1 and password_hash is not null) as "hasPassword",
      exists (select from totp_factors where account_id = $1 and confirmed_at is not null) as "hasTotp",
      (select count(*) from passkeys where account_id = $1) as passkeys,
      (select count(*) from recovery_codes where account_id = $1 and used_at is null) as "recoveryCodes"`,
}

export async function factorState(db: Queryable, accountId: string): Promise<FactorState> {
  const [state] = await db.execute<FactorState>(readState, [accountId])
  return state ?? { hasPassword: false, hasTotp: false, passkeys: 0, recoveryCodes: 0 }
}

/** What an account had, besides its password, to prove itself with. */
export interface RemovedFactors {
  readonly totp: number
  readonly passkeys: number
  /** Unused ones. */
  readonly recoveryCodes: number
}

const removals: readonly Statement[] = [
  // In the order in which a sign-in takes them, so that none waits for the other.
  'delete from totp_factors where account_id = $1 returning confirmed_at is not null as counts',
  'delete from passkeys where account_id = $1 returning true as counts',
  'delete from recovery_codes where account_id = $1 returning used_at is null as counts',
  'delete from sign_in_challenges where account_id = $1 returning false as counts',
].map((text, at) => ({ name: `factors_remove_${at}`, text }))

/** Removes all factors but the password, unfinished ones too, and the sign-ins that wait for one. Lock the account first. */
export async function removeFactors(tx: Queryable, accountId: string): Promise<RemovedFactors> {
  const counts: number[] = []
  for (const statement of removals) {
    const rows = await tx.execute<{ counts: boolean }>(statement, [accountId])
    counts.push(rows.filter((row) => row.counts).length)
  }
  const [totp = 0, passkeys = 0, recoveryCodes = 0] = counts
  return { totp, passkeys, recoveryCodes }
}

/** What nobody finished in time. Used step-ups stay: they are the proof behind acts. */
const unfinished = [
  { table: 'totp_factors', key: 'id', which: 'expires_at < $1' },
  { table: 'passkey_challenges', key: 'challenge_hash', which: 'expires_at < $1' },
  { table: 'sign_in_challenges', key: 'token_hash', which: 'expires_at < $1' },
  { table: 'step_ups', key: '(organization_id, id)', which: 'expires_at < $1 and used_at is null' },
].map(({ table, key, which }) => ({
  name: `factors_expire_${table}`,
  text: `delete from ${table} where ${key} in (select ${key.replace(/[()]/g, '')} from ${table}
    where ${which} order by expires_at limit $2) returning 1`,
}))

/** Deletes at most `limit` rows of each kind; returns whether there may be more. */
export async function deleteUnfinished(db: Queryable, now: Date, limit: number): Promise<boolean> {
  let more = false
  for (const statement of unfinished) more = (await db.execute(statement, [now, limit])).length === limit || more
  return more
}
