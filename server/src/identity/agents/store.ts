import type { Generated, Selectable } from 'kysely'
import { type Queryable, queriesOn } from '../../platform/db.ts'
import type { Idempotency } from '../../platform/idempotency.ts'
import type { ApiKey } from './api-key.ts'

interface Tables {
  api_keys: {
    organization_id: string
    id: string
    name: string
    description: string | null
    key_hash: Buffer
    is_active: Generated<boolean>
    created_by: string | null
    idempotency_key: string | null
    idempotency_hash: Buffer | null
    last_used_at: Date | null
    created_at: Date
    updated_at: Date
  }
}

const sql = queriesOn<Tables>()

type ApiKeyRow = Selectable<Tables['api_keys']>

function toApiKey(row: ApiKeyRow): ApiKey {
  return {
    organizationId: row.organization_id,
    id: row.id,
    name: row.name,
    description: row.description,
    isActive: row.is_active,
    lastUsedAt: row.last_used_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

export interface NewApiKey {
  readonly key: ApiKey
  readonly hash: Buffer
  readonly createdBy: string | null
  readonly idempotency: Idempotency | null
}

/** False when the creator has already used this Idempotency-Key. */
export async function insertApiKey(tx: Queryable, { key, hash, createdBy, idempotency }: NewApiKey): Promise<boolean> {
  const query = sql
    .insertInto('api_keys')
    .values({
      organization_id: key.organizationId,
      id: key.id,
      name: key.name,
      description: key.description,
      key_hash: hash,
      created_by: createdBy,
      idempotency_key: idempotency?.key ?? null,
      idempotency_hash: idempotency?.hash ?? null,
      created_at: key.createdAt,
      updated_at: key.updatedAt,
    })
    .onConflict((conflict) => conflict.columns(['organization_id', 'created_by', 'idempotency_key']).doNothing())
    .returning('id')
  return (await tx.run(query)).length === 1
}

export async function apiKeyByIdempotencyKey(
  db: Queryable,
  organizationId: string,
  createdBy: string,
  idempotencyKey: string,
): Promise<{ readonly key: ApiKey; readonly hash: Buffer | null } | null> {
  const query = sql
    .selectFrom('api_keys')
    .selectAll()
    .where('organization_id', '=', organizationId)
    .where('created_by', '=', createdBy)
    .where('idempotency_key', '=', idempotencyKey)
  const [row] = await db.run(query)
  return row === undefined ? null : { key: toApiKey(row), hash: row.idempotency_hash }
}

/** By the id that stands in the key itself; the hash decides whether the rest of the key is right. */
export async function apiKeyForAuthentication(
  db: Queryable,
  id: string,
): Promise<{ readonly key: ApiKey; readonly hash: Buffer } | null> {
  const [row] = await db.run(sql.selectFrom('api_keys').selectAll().where('id', '=', id))
  return row === undefined ? null : { key: toApiKey(row), hash: row.key_hash }
}

export async function apiKeys(db: Queryable, organizationId: string): Promise<readonly ApiKey[]> {
  const query = sql
    .selectFrom('api_keys')
    .selectAll()
    .where('organization_id', '=', organizationId)
    .orderBy('id', 'desc')
  return (await db.run(query)).map(toApiKey)
}

export async function apiKeyById(
  db: Queryable,
  organizationId: string,
  id: string,
  lock = false,
): Promise<ApiKey | null> {
  const query = sql
    .selectFrom('api_keys')
    .selectAll()
    .where('organization_id', '=', organizationId)
    .where('id', '=', id)
  const [row] = await db.run(lock ? query.forUpdate() : query)
  return row === undefined ? null : toApiKey(row)
}

export async function saveApiKey(tx: Queryable, key: ApiKey): Promise<void> {
  await tx.run(
    sql
      .updateTable('api_keys')
      .set({ name: key.name, description: key.description, is_active: key.isActive, updated_at: key.updatedAt })
      .where('organization_id', '=', key.organizationId)
      .where('id', '=', key.id),
  )
}

/** Not a change of the key: `updated_at` stays. */
export async function markApiKeyUsed(db: Queryable, organizationId: string, id: string, at: Date): Promise<void> {
  await db.run(
    sql
      .updateTable('api_keys')
      .set({ last_used_at: at })
      .where('organization_id', '=', organizationId)
      .where('id', '=', id)
      .where((where) => where.or([where('last_used_at', 'is', null), where('last_used_at', '<', at)])),
  )
}
