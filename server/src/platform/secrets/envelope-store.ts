import type { Queryable, Statement } from '../database/db.ts'
import type { WrappedKey } from './key-encryption.ts'

/** A data key as stored. New values are sealed with their organization's key that is not retired. */
export interface StoredKey extends WrappedKey {
  readonly isCurrent: boolean
}

const selectKeys: Statement = {
  name: 'data_keys_of',
  text: `select organization_id as "organizationId", id, kek_id as "kekId", wrapped, retired_at is null as "isCurrent"
    from data_keys where organization_id = $1`,
}

export function dataKeys(db: Queryable, organizationId: string): Promise<readonly StoredKey[]> {
  return db.execute<StoredKey>(selectKeys, [organizationId])
}

const selectSamples: Statement = {
  name: 'data_keys_samples',
  text: `(select distinct on (kek_id) organization_id as "organizationId", id, kek_id as "kekId", wrapped
      from data_keys order by kek_id, id)
    union
    (select distinct on (kek_id) organization_id, id, kek_id, wrapped from data_keys order by kek_id, id desc)`,
}

/** The oldest and the newest data key under each key-encryption key, of all organizations. The scope is a resealer's. */
export function sampleKeys(db: Queryable): Promise<readonly WrappedKey[]> {
  return db.execute<WrappedKey>(selectSamples, [])
}

const insertKey: Statement = {
  name: 'data_keys_insert',
  text: `insert into data_keys (organization_id, id, kek_id, wrapped, created_at) values ($1, $2, $3, $4, now())
    on conflict do nothing`,
}

/** The organization's current key, unless another process has made one in the meantime: then that one counts. */
export async function insertDataKey(db: Queryable, key: WrappedKey): Promise<void> {
  await db.execute(insertKey, [key.organizationId, key.id, key.kekId, key.wrapped])
}

const retireKey: Statement = {
  name: 'data_keys_retire',
  text: `update data_keys set retired_at = now() where organization_id = $1 and id = $2 and retired_at is null
    returning id`,
}

/** False when it was already retired. */
export async function retireDataKey(tx: Queryable, organizationId: string, id: string): Promise<boolean> {
  return (await tx.execute(retireKey, [organizationId, id])).length > 0
}

const saveKey: Statement = {
  name: 'data_keys_save',
  text: 'update data_keys set kek_id = $3, wrapped = $4 where organization_id = $1 and id = $2 and wrapped = $5 returning id',
}

/** False when another process has wrapped it again since it was read. */
export async function saveWrapping(db: Queryable, before: WrappedKey, after: WrappedKey): Promise<boolean> {
  const values = [after.organizationId, after.id, after.kekId, after.wrapped, before.wrapped]
  return (await db.execute(saveKey, values)).length > 0
}
