import type { Generated, Selectable } from 'kysely'
import { type Queryable, queriesOn, type Statement } from '../platform/db.ts'
import type { Idempotency } from '../platform/idempotency.ts'
import type { ApiKey } from './api-key.ts'
import type { Invitation } from './invitation.ts'
import type { Role } from './principal.ts'
import type { User } from './user.ts'

interface Tables {
  organizations: { organization_id: string; name: string; created_at: Generated<Date>; updated_at: Generated<Date> }
  users: {
    organization_id: string
    id: string
    email: string
    email_key: string
    name: string | null
    role: Role
    password_hash: string
    is_active: Generated<boolean>
    created_at: Date
    updated_at: Date
  }
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
  invitations: {
    organization_id: string
    id: string
    token_hash: Buffer
    email: string | null
    role: Role
    created_by: string | null
    idempotency_key: string | null
    idempotency_hash: Buffer | null
    expires_at: Date
    used_at: Date | null
    created_at: Date
    updated_at: Date
  }
}

const sql = queriesOn<Tables>()

// Organizations

export async function firstOrganization(db: Queryable): Promise<string | null> {
  const rows = await db.run(sql.selectFrom('organizations').select('organization_id').orderBy('created_at').limit(1))
  return rows[0]?.organization_id ?? null
}

export async function insertOrganization(tx: Queryable, organizationId: string, name: string): Promise<void> {
  await tx.run(sql.insertInto('organizations').values({ organization_id: organizationId, name }))
}

const lockSetup: Statement = { name: 'identity_lock_setup', text: 'select pg_advisory_xact_lock($1)' }

/** Makes the first start of several processes at once, and the making of the first admin, one after the other. */
export async function lockFirstSetup(tx: Queryable): Promise<void> {
  await tx.execute(lockSetup, [0x48495401])
}

// Users

type UserRow = Selectable<Tables['users']>

function toUser(row: UserRow): User {
  return {
    organizationId: row.organization_id,
    id: row.id,
    email: row.email,
    name: row.name,
    role: row.role,
    isActive: row.is_active,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

export async function insertUser(tx: Queryable, user: User, emailKey: string, passwordHash: string): Promise<boolean> {
  const rows = await tx.run(
    sql
      .insertInto('users')
      .values({
        organization_id: user.organizationId,
        id: user.id,
        email: user.email,
        email_key: emailKey,
        name: user.name,
        role: user.role,
        password_hash: passwordHash,
        created_at: user.createdAt,
        updated_at: user.updatedAt,
      })
      .onConflict((conflict) => conflict.columns(['organization_id', 'email_key']).doNothing())
      .returning('id'),
  )
  return rows.length === 1
}

export async function userById(db: Queryable, organizationId: string, id: string): Promise<User | null> {
  const query = sql.selectFrom('users').selectAll().where('organization_id', '=', organizationId).where('id', '=', id)
  const [row] = await db.run(query)
  return row === undefined ? null : toUser(row)
}

/** Signing in names no organization: of the accounts with the address the oldest active one counts, else the oldest. */
export async function userByEmail(
  db: Queryable,
  emailKey: string,
): Promise<{ readonly user: User; readonly passwordHash: string } | null> {
  const query = sql
    .selectFrom('users')
    .selectAll()
    .where('email_key', '=', emailKey)
    .orderBy('is_active', 'desc')
    .orderBy('created_at')
    .limit(1)
  const [row] = await db.run(query)
  return row === undefined ? null : { user: toUser(row), passwordHash: row.password_hash }
}

export async function hasUsers(db: Queryable, organizationId: string): Promise<boolean> {
  const query = sql.selectFrom('users').select('id').where('organization_id', '=', organizationId).limit(1)
  return (await db.run(query)).length > 0
}

export async function hasAdmin(db: Queryable, organizationId: string): Promise<boolean> {
  const query = sql
    .selectFrom('users')
    .select('id')
    .where('organization_id', '=', organizationId)
    .where('role', '=', 'admin')
    .limit(1)
  return (await db.run(query)).length > 0
}

// API keys

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

// Invitations

type InvitationRow = Selectable<Tables['invitations']>

function toInvitation(row: InvitationRow): Invitation {
  return {
    organizationId: row.organization_id,
    id: row.id,
    email: row.email,
    role: row.role,
    createdBy: row.created_by,
    expiresAt: row.expires_at,
    usedAt: row.used_at,
    createdAt: row.created_at,
  }
}

/** False when the creator has already used this Idempotency-Key. */
export async function insertInvitation(
  tx: Queryable,
  invitation: Invitation,
  tokenHash: Buffer,
  idempotency: Idempotency | null,
): Promise<boolean> {
  const query = sql
    .insertInto('invitations')
    .values({
      organization_id: invitation.organizationId,
      id: invitation.id,
      token_hash: tokenHash,
      email: invitation.email,
      role: invitation.role,
      created_by: invitation.createdBy,
      idempotency_key: idempotency?.key ?? null,
      idempotency_hash: idempotency?.hash ?? null,
      expires_at: invitation.expiresAt,
      used_at: null,
      created_at: invitation.createdAt,
      updated_at: invitation.createdAt,
    })
    .onConflict((conflict) => conflict.columns(['organization_id', 'created_by', 'idempotency_key']).doNothing())
    .returning('id')
  return (await tx.run(query)).length === 1
}

export async function invitationByIdempotencyKey(
  db: Queryable,
  organizationId: string,
  createdBy: string,
  idempotencyKey: string,
): Promise<{ readonly invitation: Invitation; readonly hash: Buffer | null } | null> {
  const query = sql
    .selectFrom('invitations')
    .selectAll()
    .where('organization_id', '=', organizationId)
    .where('created_by', '=', createdBy)
    .where('idempotency_key', '=', idempotencyKey)
  const [row] = await db.run(query)
  return row === undefined ? null : { invitation: toInvitation(row), hash: row.idempotency_hash }
}

/** With `lock`, one link lets in one person whoever races. */
export async function invitationByToken(db: Queryable, tokenHash: Buffer, lock = false): Promise<Invitation | null> {
  const query = sql.selectFrom('invitations').selectAll().where('token_hash', '=', tokenHash)
  const [row] = await db.run(lock ? query.forUpdate() : query)
  return row === undefined ? null : toInvitation(row)
}

export async function markInvitationUsed(tx: Queryable, invitation: Invitation, at: Date): Promise<void> {
  await tx.run(
    sql
      .updateTable('invitations')
      .set({ used_at: at })
      .where('organization_id', '=', invitation.organizationId)
      .where('id', '=', invitation.id),
  )
}

/** Set-up links that nobody used are void once a newer one is printed. */
export async function expireSetupLinks(tx: Queryable, organizationId: string, at: Date): Promise<void> {
  await tx.run(
    sql
      .updateTable('invitations')
      .set({ expires_at: at })
      .where('organization_id', '=', organizationId)
      .where('created_by', 'is', null)
      .where('used_at', 'is', null)
      .where('expires_at', '>', at),
  )
}
