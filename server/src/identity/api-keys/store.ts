import type { Selectable } from 'kysely'
import { type Queryable, sql } from '../../platform/database/db.ts'
import { earlierIn } from '../../platform/database/earlier.ts'
import { first } from '../../platform/database/first.ts'
import type { Schema } from '../../platform/database/schema.gen.ts'
import type { Idempotency } from '../../platform/idempotency.ts'
import { fieldsOf, names, valuesOf } from '../../platform/names.ts'
import type { KeyScope } from '../principal.ts'
import { type ApiKey, warnAtOf } from './api-key-terms.ts'

type ApiKeyRow = Selectable<Schema['api_keys']>

const fixedColumns = names('organization_id, id, agent_id, last_used_at, last_used_address, rotated_from, created_at')
/** What an act may change. */
const changeableColumns = names(
  'name, description, is_active, scopes, expires_at, allowed_networks, revoked_at, revoked_by, leaked_at, updated_at',
)

function toApiKey(row: ApiKeyRow): ApiKey {
  return { ...fieldsOf(row, [...fixedColumns, ...changeableColumns]), scopes: row.scopes as KeyScope[] }
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
      ...valuesOf(key, [...fixedColumns, ...changeableColumns]),
      key_hash: hash,
      warn_at: warnAtOf(key),
      created_by: createdBy,
      idempotency_key: idempotency?.key ?? null,
      idempotency_hash: idempotency?.hash ?? null,
    })
    .onConflict((conflict) =>
      conflict
        .columns(['organization_id', 'created_by', 'idempotency_key'])
        .where('idempotency_key', 'is not', null)
        .doNothing(),
    )
    .returning('id')
  return (await tx.run(query)).length === 1
}

export const apiKeyByIdempotencyKey = earlierIn('api_keys', toApiKey)

/** Newest first; of all agents, or of one. */
export async function apiKeys(
  db: Queryable,
  organizationId: string,
  agentId: string | null,
): Promise<readonly ApiKey[]> {
  const all = sql.selectFrom('api_keys').selectAll().where('organization_id', '=', organizationId)
  const wanted = agentId === null ? all : all.where('agent_id', '=', agentId)
  return (await db.run(wanted.orderBy('id', 'desc'))).map(toApiKey)
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
  return first(db.run(lock ? query.forNoKeyUpdate() : query), toApiKey)
}

/** The key that replaced this one. */
export async function successorOf(tx: Queryable, key: ApiKey): Promise<string | null> {
  const query = sql
    .selectFrom('api_keys')
    .select('id')
    .where('organization_id', '=', key.organizationId)
    .where('agent_id', '=', key.agentId)
    .where('rotated_from', '=', key.id)
  const [row] = await tx.run(query)
  return row?.id ?? null
}

/** `warnAt`: when to warn that it will expire; null for never, left out to keep it as it is. */
export async function saveApiKey(tx: Queryable, key: ApiKey, warnAt?: Date | null): Promise<void> {
  await tx.run(
    sql
      .updateTable('api_keys')
      .set({ ...valuesOf(key, changeableColumns), ...(warnAt === undefined ? {} : { warn_at: warnAt }) })
      .where('organization_id', '=', key.organizationId)
      .where('id', '=', key.id),
  )
}

/** Keys of any organization whose expiry is to be warned of now. The scope is the worker's. */
export async function keysToWarnOf(
  db: Queryable,
  now: Date,
  limit: number,
): Promise<readonly { readonly organizationId: string; readonly id: string }[]> {
  const query = sql.selectFrom('api_keys').select(['organization_id', 'id']).where('warn_at', '<=', now)
  const rows = await db.run(query.orderBy('warn_at').limit(limit))
  return rows.map((row) => ({ organizationId: row.organization_id, id: row.id }))
}

/** Takes a key off the list of keys to warn of; null when another process was first. */
export async function takeWarning(tx: Queryable, organizationId: string, id: string): Promise<ApiKey | null> {
  const query = sql
    .updateTable('api_keys')
    .set({ warn_at: null })
    .where('organization_id', '=', organizationId)
    .where('id', '=', id)
    .where('warn_at', 'is not', null)
    .returningAll()
  return first(tx.run(query), toApiKey)
}
