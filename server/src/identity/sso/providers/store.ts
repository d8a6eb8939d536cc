import type { Selectable } from 'kysely'
import { type Queryable, type Statement, sql } from '../../../platform/database/db.ts'
import { earlierIn } from '../../../platform/database/earlier.ts'
import { first } from '../../../platform/database/first.ts'
import type { Schema } from '../../../platform/database/schema.gen.ts'
import type { Idempotency } from '../../../platform/idempotency.ts'
import { fieldsOf, names, valuesOf } from '../../../platform/names.ts'
import type { IdentityProvider } from '../provider.ts'

type ProviderRow = Selectable<Schema['identity_providers']>

const fixedColumns = names('organization_id, id, created_at')
const changeableColumns = names(
  'name, issuer, client_id, scopes, role_claim, default_role, team_claim, creates_members, email_domains, is_enforced, is_active, proven_at, updated_at',
)

function toProvider(row: ProviderRow): IdentityProvider {
  return {
    ...fieldsOf(row, [...fixedColumns, ...changeableColumns]),
    hasSecret: row.client_secret !== null,
    roleMap: row.role_map as IdentityProvider['roleMap'],
    teamMap: row.team_map as IdentityProvider['teamMap'],
  }
}

function settingsOf(provider: IdentityProvider, sealedSecret: Buffer | null) {
  return {
    ...valuesOf(provider, changeableColumns),
    client_secret: sealedSecret,
    role_map: JSON.stringify(provider.roleMap) as never,
    team_map: JSON.stringify(provider.teamMap) as never,
  }
}

/** False when the creator has used this Idempotency-Key, or the organization has this client at this issuer already. */
export async function insertProvider(
  tx: Queryable,
  provider: IdentityProvider,
  sealedSecret: Buffer | null,
  made: { readonly by: string; readonly idempotency: Idempotency | null },
): Promise<boolean> {
  const query = sql
    .insertInto('identity_providers')
    .values({
      ...settingsOf(provider, sealedSecret),
      ...valuesOf(provider, fixedColumns),
      created_by: made.by,
      idempotency_key: made.idempotency?.key ?? null,
      idempotency_hash: made.idempotency?.hash ?? null,
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning('id')
  return (await tx.run(query)).length === 1
}

export const providerByIdempotencyKey = earlierIn('identity_providers', toProvider)

export interface StoredProvider {
  readonly provider: IdentityProvider
  readonly sealedSecret: Buffer | null
}

/** The scope is the organization, or a look-up of the id. */
export async function providerById(db: Queryable, id: string, lock = false): Promise<StoredProvider | null> {
  const query = sql.selectFrom('identity_providers').selectAll().where('id', '=', id)
  const [row] = await db.run(lock ? query.forUpdate() : query)
  return row === undefined ? null : { provider: toProvider(row), sealedSecret: row.client_secret }
}

/** Nobody else changes it until the transaction ends. */
export function lockProvider(tx: Queryable, id: string): Promise<StoredProvider | null> {
  return providerById(tx, id, true)
}

/**
 * Whether the provider is on and unchanged since it was read. Nobody changes a provider of its organization, or comes in by one,
 * until the transaction ends: of two people who lose the right to manage at once, neither counts the other as the one who is left.
 */
export async function stillStands(
  tx: Queryable,
  { organizationId, id, updatedAt }: IdentityProvider,
): Promise<boolean> {
  const query = sql
    .selectFrom('identity_providers')
    .select(['id', 'is_active', 'updated_at'])
    .where('organization_id', '=', organizationId)
    .orderBy('id')
    .forUpdate()
  const now = (await tx.run(query)).find((row) => row.id === id)
  return now?.is_active === true && now.updated_at.getTime() === updatedAt.getTime()
}

export async function providers(db: Queryable, organizationId: string): Promise<readonly IdentityProvider[]> {
  const query = sql
    .selectFrom('identity_providers')
    .selectAll()
    .where('organization_id', '=', organizationId)
    .orderBy('id', 'desc')
  return (await db.run(query)).map(toProvider)
}

export async function saveProvider(
  tx: Queryable,
  provider: IdentityProvider,
  sealedSecret: Buffer | null,
): Promise<void> {
  await tx.run(
    sql
      .updateTable('identity_providers')
      .set(settingsOf(provider, sealedSecret))
      .where('organization_id', '=', provider.organizationId)
      .where('id', '=', provider.id),
  )
}

/** Not a change of the provider: `updated_at` stays. One that was changed meanwhile is not proven by this. */
export async function markProven(tx: Queryable, provider: IdentityProvider, at: Date): Promise<void> {
  await tx.run(
    sql
      .updateTable('identity_providers')
      .set({ proven_at: at })
      .where('organization_id', '=', provider.organizationId)
      .where('id', '=', provider.id)
      .where('updated_at', '=', provider.updatedAt),
  )
}

export async function deleteProvider(tx: Queryable, organizationId: string, id: string): Promise<void> {
  await tx.run(sql.deleteFrom('identity_providers').where('organization_id', '=', organizationId).where('id', '=', id))
}

/** The provider that an organization's people must come in by; null when passwords do. */
export async function enforcedProvider(db: Queryable, organizationId: string): Promise<IdentityProvider | null> {
  const query = sql
    .selectFrom('identity_providers')
    .selectAll()
    .where('organization_id', '=', organizationId)
    .where('is_enforced', '=', true)
    .where('is_active', '=', true)
    .orderBy('id')
    .limit(1)
  return first(db.run(query), toProvider)
}

/** The ids that are not teams of the organization. */
export async function unknownTeams(
  db: Queryable,
  organizationId: string,
  ids: readonly string[],
): Promise<readonly string[]> {
  if (ids.length === 0) return []
  const query = sql
    .selectFrom('teams')
    .select('id')
    .where('organization_id', '=', organizationId)
    .where('id', 'in', ids)
  const known = new Set((await db.run(query)).map((row) => row.id))
  return ids.filter((id) => !known.has(id))
}

const outsideSso: Statement = {
  name: 'sso_sessions_outside',
  text: `select s.id from sessions s cross join lateral (
      select u.role from users u where u.organization_id = s.organization_id and u.id = s.user_id offset 0) u
    where s.organization_id = $1 and s.revoked_at is null and not ('oidc' = any (s.signed_in_with)) and u.role <> 'owner'`,
}

/** Open sessions of who did not come in through a provider, the owner's left out. */
export async function sessionsOutsideSso(tx: Queryable, organizationId: string): Promise<readonly string[]> {
  return (await tx.execute<{ id: string }>(outsideSso, [organizationId])).map((row) => row.id)
}

/** What people had linked with an issuer, once no provider of the organization speaks for it any more. */
export async function deleteOrphanedIdentities(tx: Queryable, organizationId: string, issuer: string): Promise<void> {
  await tx.run(
    sql
      .deleteFrom('sso_identities')
      .where('organization_id', '=', organizationId)
      .where('issuer', '=', issuer)
      .where(({ not, exists, selectFrom }) =>
        not(
          exists(
            selectFrom('identity_providers')
              .select('id')
              .where('organization_id', '=', organizationId)
              .where('issuer', '=', issuer),
          ),
        ),
      ),
  )
}
