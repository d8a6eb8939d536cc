import { type Queryable, sql } from '../../../platform/database/db.ts'
import { names, valuesOf } from '../../../platform/names.ts'
import type { ProofMethod } from '../factor.ts'
import type { Assurance } from '../step-up.ts'

/** Whose step-up it is, and for what. All of this must be the same when it is used. */
export interface Claim {
  readonly organizationId: string
  readonly userId: string
  readonly sessionId: string | null
  readonly digest: Buffer
}

export interface StepUp extends Claim {
  readonly id: string
  readonly method: Assurance['method']
  readonly tokenHash: Buffer | null
  /** The key of the call that used it. */
  readonly idempotencyKey: string | null
  readonly usedAt: Date | null
  readonly expiresAt: Date
  readonly createdAt: Date
}

const stepUpColumns = names(
  'organization_id, id, user_id, session_id, digest, method, token_hash, idempotency_key, used_at, expires_at, created_at',
)

export async function insertStepUp(tx: Queryable, stepUp: StepUp): Promise<void> {
  await tx.run(sql.insertInto('step_ups').values(valuesOf(stepUp, stepUpColumns)))
}

function fitting(tokenHash: Buffer, claim: Claim, now: Date) {
  return sql
    .selectFrom('step_ups')
    .select('id')
    .where('organization_id', '=', claim.organizationId)
    .where('token_hash', '=', tokenHash)
    .where('user_id', '=', claim.userId)
    .where('session_id', 'is not distinct from', claim.sessionId)
    .where('digest', '=', claim.digest)
    .where('used_at', 'is', null)
    .where('expires_at', '>', now)
}

/** The method of the step-up; null if no unused one matches. */
export async function findStepUp(
  db: Queryable,
  tokenHash: Buffer,
  claim: Claim,
  now: Date,
): Promise<ProofMethod | null> {
  const [row] = await db.run(fitting(tokenHash, claim, now).select('method'))
  // A sign-in has no token to be found by.
  return row === undefined || row.method === 'sign_in' ? null : row.method
}

/** Whether an act was done since then with this token (null: with the sign-in itself) under this Idempotency-Key. */
export async function wasUsedFor(
  db: Queryable,
  tokenHash: Buffer | null,
  claim: Claim,
  idempotencyKey: string,
  since: Date,
): Promise<boolean> {
  const query = sql
    .selectFrom('step_ups')
    .select('id')
    .where('organization_id', '=', claim.organizationId)
    .where('user_id', '=', claim.userId)
    .where('idempotency_key', '=', idempotencyKey)
    .where('token_hash', 'is not distinct from', tokenHash)
    .where('session_id', 'is not distinct from', claim.sessionId)
    .where('digest', '=', claim.digest)
    .where('used_at', '>', since)
  return (await db.run(query.limit(1))).length === 1
}

/** Uses up the step-up; null when it does not fit, or another act was first. */
export async function takeStepUp(
  tx: Queryable,
  tokenHash: Buffer,
  claim: Claim,
  idempotencyKey: string | null,
  now: Date,
): Promise<Assurance | null> {
  const query = sql
    .updateTable('step_ups')
    .set({ used_at: now, idempotency_key: idempotencyKey })
    .where('organization_id', '=', claim.organizationId)
    .where('id', 'in', fitting(tokenHash, claim, now))
    // Checked again once the row is locked: of two acts with one token the second finds it used.
    .where('used_at', 'is', null)
    .returning(['id', 'method'])
  const [row] = await tx.run(query)
  return row === undefined ? null : { stepUpId: row.id, method: row.method }
}

/** Whether the organization wants an explicit step-up from everybody. */
export async function stepUpIsRequired(db: Queryable, organizationId: string): Promise<boolean> {
  const query = sql.selectFrom('organizations').select('require_step_up').where('organization_id', '=', organizationId)
  // An unknown organization gets the stricter rule.
  return (await db.run(query))[0]?.require_step_up ?? true
}
