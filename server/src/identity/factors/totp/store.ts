import type { Selectable } from 'kysely'
import { type Queryable, sql } from '../../../platform/database/db.ts'
import { first } from '../../../platform/database/first.ts'
import type { Schema } from '../../../platform/database/schema.gen.ts'
import { fieldsOf, names, valuesOf } from '../../../platform/names.ts'
import type { Assurance } from '../step-up.ts'

export interface Totp {
  readonly accountId: string
  readonly id: string
  /** Sealed. */
  readonly seed: Buffer
  /** Null: begun, and open for its first code until `expiresAt`. */
  readonly confirmedAt: Date | null
  readonly expiresAt: Date | null
  readonly lastUsedAt: Date | null
  /** The session that began it. */
  readonly sessionId: string | null
  /** The proof that allowed it to begin. */
  readonly assurance: Assurance
  readonly createdAt: Date
}

const totpColumns = names('account_id, id, seed, confirmed_at, expires_at, last_used_at, session_id, created_at')

function toTotp(row: Selectable<Schema['totp_factors']>): Totp {
  return { ...fieldsOf(row, totpColumns), assurance: { stepUpId: row.step_up_id, method: row.step_up_method } }
}

/** Replaces an enrolment that was not finished. */
export async function beginTotp(tx: Queryable, totp: Totp): Promise<void> {
  await tx.run(
    sql.deleteFrom('totp_factors').where('account_id', '=', totp.accountId).where('confirmed_at', 'is', null),
  )
  await tx.run(
    sql.insertInto('totp_factors').values({
      ...valuesOf(totp, totpColumns),
      step_up_id: totp.assurance.stepUpId,
      step_up_method: totp.assurance.method,
      updated_at: totp.createdAt,
    }),
  )
}

/** The confirmed one, or the one under way. */
export async function totpOf(db: Queryable, accountId: string, which: 'confirmed' | 'begun'): Promise<Totp | null> {
  const query = sql
    .selectFrom('totp_factors')
    .selectAll()
    .where('account_id', '=', accountId)
    .where('confirmed_at', which === 'confirmed' ? 'is not' : 'is', null)
  return first(db.run(query), toTotp)
}

/** Takes the code's time step, which counts as used from then on. False when it, or a later one, was taken before. */
export async function takeTotpStep(tx: Queryable, totp: Totp, step: number, at: Date): Promise<boolean> {
  const query = sql
    .updateTable('totp_factors')
    .set({ last_step: step, last_used_at: at })
    .where('account_id', '=', totp.accountId)
    .where('id', '=', totp.id)
    .where('last_step', '<', step)
    .returning('id')
  return (await tx.run(query)).length === 1
}

/** Makes it a factor; false when it is too late or was done before. The first code, of time step `step`, counts as used. */
export async function confirmTotp(tx: Queryable, totp: Totp, step: number, at: Date): Promise<boolean> {
  const query = sql
    .updateTable('totp_factors')
    .set({ confirmed_at: at, expires_at: null, last_step: step, last_used_at: at })
    .where('account_id', '=', totp.accountId)
    .where('id', '=', totp.id)
    .where('expires_at', '>', at)
    .returning('id')
  return (await tx.run(query)).length === 1
}

export async function deleteTotp(tx: Queryable, totp: Totp): Promise<void> {
  await tx.run(sql.deleteFrom('totp_factors').where('account_id', '=', totp.accountId).where('id', '=', totp.id))
}
