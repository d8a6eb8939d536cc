import { hkdfSync } from 'node:crypto'
import type { Queryable, Statement } from '../database/db.ts'
import { installationId } from '../ids.ts'

/** Tells SECRET_KEYs apart, and nothing about them: 128 bits derived from the key (RFC 5869). In the database and in backups. */
export function secretKeyCheckOf(secretKey: string): string {
  return Buffer.from(hkdfSync('sha256', secretKey, '', 'hitl secret key check v1', 16)).toString('hex')
}

const select: Statement = {
  name: 'secret_key_checks_find',
  text: 'select value from secret_key_checks where organization_id = $1',
}

const save: Statement = {
  name: 'secret_key_checks_save',
  text: `insert into secret_key_checks as noted (organization_id, value, noted_at) values ($1, $2, now())
    on conflict (organization_id) do update set value = excluded.value, noted_at = excluded.noted_at
    where noted.value <> excluded.value and ($3::text[] is null or noted.value = any ($3))`,
}

/** The check of the SECRET_KEY that counts; null before the first start. The scope is the installation's. */
export async function findSecretKeyCheck(db: Queryable): Promise<string | null> {
  return (await db.execute<{ value: string }>(select, [installationId]))[0]?.value ?? null
}

/** From now on this one counts, in place of one of these (null: of any), or as the first. */
export async function saveSecretKeyCheck(
  db: Queryable,
  check: string,
  inPlaceOf: readonly string[] | null,
): Promise<void> {
  await db.execute(save, [installationId, check, inPlaceOf])
}
