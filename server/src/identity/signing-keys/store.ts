import { type Queryable, type Statement, sql } from '../../platform/database/db.ts'
import { installationId } from '../../platform/ids.ts'
import { fieldsOf, names, valuesOf } from '../../platform/names.ts'
import type { Purpose, SigningKey } from './signing-key.ts'

/** A key as its row has it; `sealed` is gone once it has retired. */
export interface StoredSigningKey {
  readonly key: SigningKey
  readonly sealed: Buffer | null
  /** Sealed: shows that this service made the key. */
  readonly proof: Buffer
}

const keyColumns = names('id, kid, purpose, public_key, created_at, active_at, retired_at, revoked_at')

/** Oldest first. */
export async function signingKeys(db: Queryable): Promise<readonly StoredSigningKey[]> {
  const rows = await db.run(
    sql
      .selectFrom('signing_keys')
      .selectAll()
      .where('organization_id', '=', installationId)
      .orderBy('created_at')
      .orderBy('id'),
  )
  return rows.map((row) => ({ key: fieldsOf(row, keyColumns), sealed: row.private_key, proof: row.proof }))
}

/** False when the purpose has a key that is not to retire: another process has made it in the meantime. */
export async function insertSigningKey(tx: Queryable, { key, sealed, proof }: StoredSigningKey): Promise<boolean> {
  const rows = await tx.run(
    sql
      .insertInto('signing_keys')
      .values({ ...valuesOf(key, keyColumns), organization_id: installationId, private_key: sealed, proof })
      .onConflict((conflict) => conflict.doNothing())
      .returning('id'),
  )
  return rows.length > 0
}

/** No key of the purpose signs from `at` on. Two rotations at once take their turns here. */
export async function retireSigningKeys(tx: Queryable, purpose: Purpose, at: Date): Promise<readonly string[]> {
  const rows = await tx.run(
    sql
      .updateTable('signing_keys')
      .set({ retired_at: at })
      .where('organization_id', '=', installationId)
      .where('purpose', '=', purpose)
      .where((where) => where.or([where('retired_at', 'is', null), where('retired_at', '>', at)]))
      .returning('kid'),
  )
  return rows.map((row) => row.kid)
}

export async function revokeSigningKeys(tx: Queryable, purpose: Purpose, now: Date): Promise<void> {
  await tx.run(
    sql
      .updateTable('signing_keys')
      .set({ revoked_at: now })
      .where('organization_id', '=', installationId)
      .where('purpose', '=', purpose)
      .where('revoked_at', 'is', null),
  )
}

const lock: Statement = { name: 'signing_keys_lock', text: 'select pg_advisory_xact_lock($1, hashtext($2))' }

/** One rotation at a time. */
export async function lockRotation(tx: Queryable, purpose: Purpose): Promise<void> {
  await tx.execute(lock, [0x4849544c, purpose])
}

/** A retired key can never sign again, even in the hands of somebody who has the database and its keys. */
export async function dropRetiredSecrets(tx: Queryable, until: Date): Promise<void> {
  await tx.run(
    sql
      .updateTable('signing_keys')
      .set({ private_key: null })
      .where('organization_id', '=', installationId)
      .where('retired_at', '<=', until)
      .where('private_key', 'is not', null),
  )
}
