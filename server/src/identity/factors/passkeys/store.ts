import type { Selectable } from 'kysely'
import { type Queryable, sql } from '../../../platform/database/db.ts'
import { first } from '../../../platform/database/first.ts'
import type { Schema } from '../../../platform/database/schema.gen.ts'
import { fieldsOf, names, valuesOf } from '../../../platform/names.ts'
import type { Assurance } from '../step-up.ts'
import type { CeremonyPurpose, Passkey } from './passkey.ts'

const passkeyColumns = names(
  'account_id, id, credential_id, public_key, sign_count, transports, name, is_backed_up, last_used_at, created_at',
)

function toPasskey(row: Selectable<Schema['passkeys']>): Passkey {
  return fieldsOf(row, passkeyColumns)
}

/** False when the authenticator's credential is registered already, here or for another account. */
export async function insertPasskey(tx: Queryable, passkey: Passkey): Promise<boolean> {
  const query = sql
    .insertInto('passkeys')
    .values({ ...valuesOf(passkey, passkeyColumns), updated_at: passkey.createdAt })
    .onConflict((conflict) => conflict.doNothing())
    .returning('id')
  return (await tx.run(query)).length === 1
}

export async function passkeys(db: Queryable, accountId: string): Promise<readonly Passkey[]> {
  const query = sql.selectFrom('passkeys').selectAll().where('account_id', '=', accountId).orderBy('id')
  return (await db.run(query)).map(toPasskey)
}

export async function passkeyById(db: Queryable, accountId: string, id: string): Promise<Passkey | null> {
  const query = sql.selectFrom('passkeys').selectAll().where('account_id', '=', accountId).where('id', '=', id)
  return first(db.run(query), toPasskey)
}

/** The scope is a look-up of the same id. */
export async function passkeyByCredential(db: Queryable, credentialId: Buffer): Promise<Passkey | null> {
  return first(db.run(sql.selectFrom('passkeys').selectAll().where('credential_id', '=', credentialId)), toPasskey)
}

/** `copied`: a device-bound key's count went back, so there is a copy of it. A synced key is on several devices anyway. */
export type CountFlaw = 'copied' | 'counter_fell'

/** Stores the signature's count; null if it is above the last one, and `counter_fell` if it may be lower. */
export async function takeSignCount(
  tx: Queryable,
  passkey: Passkey,
  said: Pick<Passkey, 'signCount' | 'isBackedUp'>,
  at: Date,
): Promise<CountFlaw | null> {
  const query = sql
    .updateTable('passkeys')
    .set({ sign_count: said.signCount, is_backed_up: said.isBackedUp, last_used_at: at })
    .where('account_id', '=', passkey.accountId)
    .where('id', '=', passkey.id)
    // WebAuthn 7.2, step 22: an authenticator that does not count says 0 each time.
    .where((where) =>
      where.or([
        // As it was registered or last used: a copy can claim anything of itself.
        where('is_backed_up', '=', true),
        said.signCount === 0 ? where('sign_count', '=', 0) : where('sign_count', '<', said.signCount),
      ]),
    )
    .returning('id')
  if ((await tx.run(query)).length === 0) return 'copied'
  return passkey.signCount > 0 && said.signCount <= passkey.signCount ? 'counter_fell' : null
}

export async function renamePasskey(tx: Queryable, passkey: Passkey): Promise<void> {
  await tx.run(
    sql
      .updateTable('passkeys')
      .set({ name: passkey.name })
      .where('account_id', '=', passkey.accountId)
      .where('id', '=', passkey.id),
  )
}

export async function deletePasskey(tx: Queryable, passkey: Passkey): Promise<void> {
  await tx.run(sql.deleteFrom('passkeys').where('account_id', '=', passkey.accountId).where('id', '=', passkey.id))
}

export interface CeremonyChallenge {
  readonly hash: Buffer
  readonly purpose: CeremonyPurpose
  /** Null for a sign-in that names nobody. */
  readonly accountId: string | null
  /** The digest of the act, or the hash of the sign-in's challenge. */
  readonly boundTo: Buffer | null
  readonly sessionId: string | null
  /** The proof that allowed a registration to begin; null for other purposes. */
  readonly assurance: Assurance | null
  readonly expiresAt: Date
  readonly createdAt: Date
}

const challengeColumns = names('purpose, account_id, bound_to, session_id, expires_at, created_at')

/** The scope is a look-up of the same hash. */
export async function insertCeremonyChallenge(db: Queryable, challenge: CeremonyChallenge): Promise<void> {
  await db.run(
    sql.insertInto('passkey_challenges').values({
      ...valuesOf(challenge, challengeColumns),
      challenge_hash: challenge.hash,
      step_up_id: challenge.assurance?.stepUpId ?? null,
      step_up_method: challenge.assurance?.method ?? null,
    }),
  )
}

/** Takes the challenge out, which nobody can do twice. The scope is a look-up of the same hash. */
export async function takeCeremonyChallenge(db: Queryable, hash: Buffer): Promise<CeremonyChallenge | null> {
  const [row] = await db.run(sql.deleteFrom('passkey_challenges').where('challenge_hash', '=', hash).returningAll())
  if (row === undefined) return null
  const { step_up_id: stepUpId, step_up_method: method } = row
  const assurance = stepUpId === null || method === null ? null : { stepUpId, method }
  return { ...fieldsOf(row, challengeColumns), hash: row.challenge_hash, assurance }
}
