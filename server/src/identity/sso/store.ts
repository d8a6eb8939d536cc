import type { Selectable } from 'kysely'
import { type Queryable, queriesOn, type Statement } from '../../platform/db.ts'
import type { Idempotency } from '../../platform/idempotency.ts'
import type { Role } from '../principal.ts'
import type { Flow } from './flow.ts'
import type { ClaimableRole, IdentityProvider } from './provider.ts'

interface Tables {
  identity_providers: {
    organization_id: string
    id: string
    name: string
    issuer: string
    client_id: string
    client_secret: Buffer | null
    scopes: string[]
    role_claim: string | null
    role_map: Record<string, ClaimableRole>
    default_role: ClaimableRole | null
    team_claim: string | null
    team_map: Record<string, string>
    creates_members: boolean
    email_domains: string[]
    is_enforced: boolean
    is_active: boolean
    proven_at: Date | null
    created_by: string | null
    idempotency_key: string | null
    idempotency_hash: Buffer | null
    created_at: Date
    updated_at: Date
  }
  sso_identities: {
    organization_id: string
    id: string
    issuer: string
    subject: string
    user_id: string
    created_at: Date
    last_used_at: Date | null
  }
  sso_flows: {
    organization_id: string
    id: string
    provider_id: string
    state_hash: Buffer
    browser_hash: Buffer
    secrets: Buffer
    user_id: string | null
    return_to: string
    expires_at: Date
    created_at: Date
  }
  users: {
    organization_id: string
    id: string
    account_id: string
    email_key: string
    role: Role
    is_active: boolean
    updated_at: Date
  }
  teams: { organization_id: string; id: string }
  team_members: { organization_id: string; team_id: string; user_id: string; is_lead: boolean; created_at: Date }
}

const sql = queriesOn<Tables>()

// Providers

type ProviderRow = Selectable<Tables['identity_providers']>

function toProvider(row: ProviderRow): IdentityProvider {
  return {
    organizationId: row.organization_id,
    id: row.id,
    name: row.name,
    issuer: row.issuer,
    clientId: row.client_id,
    hasSecret: row.client_secret !== null,
    scopes: row.scopes,
    roleClaim: row.role_claim,
    roleMap: row.role_map,
    defaultRole: row.default_role,
    teamClaim: row.team_claim,
    teamMap: row.team_map,
    createsMembers: row.creates_members,
    emailDomains: row.email_domains,
    isEnforced: row.is_enforced,
    isActive: row.is_active,
    provenAt: row.proven_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

function settingsOf(provider: IdentityProvider, sealedSecret: Buffer | null) {
  return {
    name: provider.name,
    issuer: provider.issuer,
    client_id: provider.clientId,
    client_secret: sealedSecret,
    scopes: [...provider.scopes],
    role_claim: provider.roleClaim,
    role_map: JSON.stringify(provider.roleMap) as never,
    default_role: provider.defaultRole,
    team_claim: provider.teamClaim,
    team_map: JSON.stringify(provider.teamMap) as never,
    creates_members: provider.createsMembers,
    email_domains: [...provider.emailDomains],
    is_enforced: provider.isEnforced,
    is_active: provider.isActive,
    proven_at: provider.provenAt,
    updated_at: provider.updatedAt,
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
      organization_id: provider.organizationId,
      id: provider.id,
      created_by: made.by,
      idempotency_key: made.idempotency?.key ?? null,
      idempotency_hash: made.idempotency?.hash ?? null,
      created_at: provider.createdAt,
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning('id')
  return (await tx.run(query)).length === 1
}

export async function providerByIdempotencyKey(
  db: Queryable,
  organizationId: string,
  createdBy: string,
  key: string,
): Promise<{ readonly provider: IdentityProvider; readonly hash: Buffer | null } | null> {
  const query = sql
    .selectFrom('identity_providers')
    .selectAll()
    .where('organization_id', '=', organizationId)
    .where('created_by', '=', createdBy)
    .where('idempotency_key', '=', key)
  const [row] = await db.run(query)
  return row === undefined ? null : { provider: toProvider(row), hash: row.idempotency_hash }
}

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
  const [row] = await db.run(query)
  return row === undefined ? null : toProvider(row)
}

/** Ids that are no team of the organization. */
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
  text: `select s.id from sessions s join users u on u.organization_id = s.organization_id and u.id = s.user_id
    where s.organization_id = $1 and s.revoked_at is null and not ('oidc' = any (s.signed_in_with)) and u.role <> 'owner'`,
}

/** Open sessions of who did not come in through a provider, the owner's left out. */
export async function sessionsOutsideSso(tx: Queryable, organizationId: string): Promise<readonly string[]> {
  return (await tx.execute<{ id: string }>(outsideSso, [organizationId])).map((row) => row.id)
}

// Flows

export async function insertFlow(
  tx: Queryable,
  flow: Flow,
  hashes: { readonly state: Buffer; readonly browser: Buffer },
  sealedSecrets: Buffer,
): Promise<void> {
  await tx.run(
    sql.insertInto('sso_flows').values({
      organization_id: flow.organizationId,
      id: flow.id,
      provider_id: flow.providerId,
      state_hash: hashes.state,
      browser_hash: hashes.browser,
      secrets: sealedSecrets,
      user_id: flow.userId,
      return_to: flow.returnTo,
      expires_at: flow.expiresAt,
      created_at: flow.createdAt,
    }),
  )
}

const take: Statement = {
  name: 'sso_take_flow',
  text: `delete from sso_flows where organization_id = $1 and provider_id = $2 and state_hash = $3 and browser_hash = $4
    returning organization_id, id, provider_id, user_id, return_to, expires_at, created_at, secrets`,
}

/** Ends the flow: an answer counts once, whoever races. Only the browser that began it can. */
export async function takeFlow(
  tx: Queryable,
  of: {
    readonly organizationId: string
    readonly providerId: string
    readonly state: Buffer
    readonly browser: Buffer
  },
): Promise<{ readonly flow: Flow; readonly sealedSecrets: Buffer } | null> {
  const rows = await tx.execute<Selectable<Tables['sso_flows']>>(take, [
    of.organizationId,
    of.providerId,
    of.state,
    of.browser,
  ])
  const row = rows[0]
  if (row === undefined) return null
  const flow = {
    organizationId: row.organization_id,
    id: row.id,
    providerId: row.provider_id,
    userId: row.user_id,
    returnTo: row.return_to,
    expiresAt: row.expires_at,
    createdAt: row.created_at,
  }
  return { flow, sealedSecrets: row.secrets }
}

const dropFlows: Statement = {
  name: 'sso_drop_expired_flows',
  text: `delete from sso_flows where (organization_id, id) in (
    select organization_id, id from sso_flows where organization_id = $1 and expires_at <= $2 order by expires_at limit 100)`,
}

/** Those nobody came back for. A few at a time: each new one clears away more than it adds. */
export async function dropExpiredFlows(tx: Queryable, organizationId: string, now: Date): Promise<void> {
  await tx.execute(dropFlows, [organizationId, now])
}

// Identities

export interface SsoIdentity {
  readonly organizationId: string
  readonly id: string
  readonly issuer: string
  readonly subject: string
  readonly userId: string
  readonly createdAt: Date
  readonly lastUsedAt: Date | null
}

function toIdentity(row: Selectable<Tables['sso_identities']>): SsoIdentity {
  return {
    organizationId: row.organization_id,
    id: row.id,
    issuer: row.issuer,
    subject: row.subject,
    userId: row.user_id,
    createdAt: row.created_at,
    lastUsedAt: row.last_used_at,
  }
}

export async function identityBySubject(
  db: Queryable,
  organizationId: string,
  issuer: string,
  subject: string,
): Promise<SsoIdentity | null> {
  const query = sql
    .selectFrom('sso_identities')
    .selectAll()
    .where('organization_id', '=', organizationId)
    .where('issuer', '=', issuer)
    .where('subject', '=', subject)
  const [row] = await db.run(query)
  return row === undefined ? null : toIdentity(row)
}

/** False when somebody is linked to this subject already. */
export async function insertIdentity(tx: Queryable, identity: SsoIdentity): Promise<boolean> {
  const query = sql
    .insertInto('sso_identities')
    .values({
      organization_id: identity.organizationId,
      id: identity.id,
      issuer: identity.issuer,
      subject: identity.subject,
      user_id: identity.userId,
      created_at: identity.createdAt,
      last_used_at: identity.lastUsedAt,
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning('id')
  return (await tx.run(query)).length === 1
}

export async function markIdentityUsed(tx: Queryable, identity: SsoIdentity, at: Date): Promise<void> {
  await tx.run(
    sql
      .updateTable('sso_identities')
      .set({ last_used_at: at })
      .where('organization_id', '=', identity.organizationId)
      .where('id', '=', identity.id),
  )
}

export async function identitiesOf(
  db: Queryable,
  organizationId: string,
  userId: string,
): Promise<readonly SsoIdentity[]> {
  const query = sql
    .selectFrom('sso_identities')
    .selectAll()
    .where('organization_id', '=', organizationId)
    .where('user_id', '=', userId)
    .orderBy('id', 'desc')
  return (await db.run(query)).map(toIdentity)
}

/** The one that is gone; null when it was not this person's. */
export async function deleteIdentity(
  tx: Queryable,
  organizationId: string,
  userId: string,
  id: string,
): Promise<SsoIdentity | null> {
  const query = sql
    .deleteFrom('sso_identities')
    .where('organization_id', '=', organizationId)
    .where('user_id', '=', userId)
    .where('id', '=', id)
    .returningAll()
  const [row] = await tx.run(query)
  return row === undefined ? null : toIdentity(row)
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

// Members

export interface Member {
  readonly userId: string
  readonly accountId: string
  readonly role: Role
  readonly isActive: boolean
}

/** Locked: claims of two sign-ins at once are applied one after the other. */
export async function lockMember(tx: Queryable, organizationId: string, userId: string): Promise<Member | null> {
  const query = sql
    .selectFrom('users')
    .select(['id', 'account_id', 'role', 'is_active'])
    .where('organization_id', '=', organizationId)
    .where('id', '=', userId)
    .forUpdate()
  const [row] = await tx.run(query)
  if (row === undefined) return null
  return { userId: row.id, accountId: row.account_id, role: row.role, isActive: row.is_active }
}

export async function saveRole(
  tx: Queryable,
  organizationId: string,
  userId: string,
  role: ClaimableRole,
): Promise<void> {
  await tx.run(
    sql.updateTable('users').set({ role }).where('organization_id', '=', organizationId).where('id', '=', userId),
  )
}

export async function hasAddress(tx: Queryable, organizationId: string, key: string): Promise<boolean> {
  const query = sql
    .selectFrom('users')
    .select('id')
    .where('organization_id', '=', organizationId)
    .where('email_key', '=', key)
  return (await tx.run(query)).length > 0
}

/** Whether somebody else could manage the organization. */
export async function hasOtherManager(tx: Queryable, organizationId: string, userId: string): Promise<boolean> {
  const query = sql
    .selectFrom('users')
    .select('id')
    .where('organization_id', '=', organizationId)
    .where('id', '!=', userId)
    .where('role', 'in', ['owner', 'admin'])
    .where('is_active', '=', true)
    .limit(1)
  return (await tx.run(query)).length > 0
}

export async function teamsOf(tx: Queryable, organizationId: string, userId: string): Promise<ReadonlySet<string>> {
  const query = sql
    .selectFrom('team_members')
    .select('team_id')
    .where('organization_id', '=', organizationId)
    .where('user_id', '=', userId)
  return new Set((await tx.run(query)).map((row) => row.team_id))
}

const join: Statement = {
  name: 'sso_join_team',
  text: `insert into team_members (organization_id, team_id, user_id, created_at)
    select organization_id, id, $3, $4 from teams where organization_id = $1 and id = $2
    on conflict do nothing returning team_id`,
}

/** False when the team is gone: the mapping may be older than that. */
export async function joinTeam(
  tx: Queryable,
  organizationId: string,
  teamId: string,
  userId: string,
  at: Date,
): Promise<boolean> {
  return (await tx.execute(join, [organizationId, teamId, userId, at])).length === 1
}

export async function leaveTeam(tx: Queryable, organizationId: string, teamId: string, userId: string): Promise<void> {
  await tx.run(
    sql
      .deleteFrom('team_members')
      .where('organization_id', '=', organizationId)
      .where('team_id', '=', teamId)
      .where('user_id', '=', userId),
  )
}
