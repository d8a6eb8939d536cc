import { type Queryable, queriesOn, type Statement } from '../../platform/db.ts'
import type { FactorState } from './factor.ts'

interface Tables {
  accounts: { id: string; email: string; password_hash: string | null }
}

const sql = queriesOn<Tables>()

/** Factors change one after the other: what is left of them decides whether there is a second factor at all. */
export async function lockAccount(tx: Queryable, accountId: string): Promise<void> {
  await tx.run(sql.selectFrom('accounts').select('id').where('id', '=', accountId).forUpdate())
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

/** What nobody finished in time. Used step-ups stay: they stand behind acts. */
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

/** Clears it away, at most `limit` rows of each kind; answers whether there may be more. */
export async function deleteUnfinished(db: Queryable, now: Date, limit: number): Promise<boolean> {
  let more = false
  for (const statement of unfinished) more = (await db.execute(statement, [now, limit])).length === limit || more
  return more
}
