import { type Queryable, sql } from '../../../platform/database/db.ts'

/** The new codes take the place of all earlier ones. */
export async function replaceRecoveryCodes(
  tx: Queryable,
  accountId: string,
  hashes: readonly Buffer[],
  at: Date,
): Promise<void> {
  await deleteRecoveryCodes(tx, accountId)
  const rows = hashes.map((hash) => ({ account_id: accountId, code_hash: hash, used_at: null, created_at: at }))
  await tx.run(sql.insertInto('recovery_codes').values(rows))
}

/** Returns how many there were. */
export async function deleteRecoveryCodes(tx: Queryable, accountId: string): Promise<number> {
  const query = sql.deleteFrom('recovery_codes').where('account_id', '=', accountId).returning('created_at')
  return (await tx.run(query)).length
}

/** False when there is no such code, or it was used. */
export async function takeRecoveryCode(tx: Queryable, accountId: string, hash: Buffer, at: Date): Promise<boolean> {
  const query = sql
    .updateTable('recovery_codes')
    .set({ used_at: at })
    .where('account_id', '=', accountId)
    .where('code_hash', '=', hash)
    .where('used_at', 'is', null)
    .returning('account_id')
  return (await tx.run(query)).length === 1
}

/** Null when none were made, or they went with the last second factor. */
export async function recoveryCodes(
  db: Queryable,
  accountId: string,
): Promise<{ readonly remaining: number; readonly createdAt: Date } | null> {
  const query = sql.selectFrom('recovery_codes').select(['used_at', 'created_at']).where('account_id', '=', accountId)
  const rows = await db.run(query)
  const [first] = rows
  if (first === undefined) return null
  return { remaining: rows.filter((row) => row.used_at === null).length, createdAt: first.created_at }
}
