import { type ClaimableRole, type IdentityProvider, isSameParty } from '../provider.ts'

/** What an administrator sets, in the wire's names. */
export interface ProviderInput {
  readonly name?: string | undefined
  readonly issuer?: string | undefined
  readonly client_id?: string | undefined
  /** Left out: as it was. Null: none. */
  readonly client_secret?: string | null | undefined
  readonly scopes?: readonly string[] | undefined
  readonly role_claim?: string | null | undefined
  readonly role_map?: Readonly<Record<string, ClaimableRole>> | undefined
  readonly default_role?: ClaimableRole | null | undefined
  readonly team_claim?: string | null | undefined
  readonly team_map?: Readonly<Record<string, string>> | undefined
  readonly creates_members?: boolean | undefined
  readonly email_domains?: readonly string[] | undefined
  readonly is_enforced?: boolean | undefined
  readonly is_active?: boolean | undefined
}

export type NewProviderInput = ProviderInput & {
  readonly name: string
  readonly issuer: string
  readonly client_id: string
}

/** A provider before anything is set. */
export function blank(organizationId: string, id: string, now: Date): IdentityProvider {
  return {
    organizationId,
    id,
    name: '',
    issuer: '',
    clientId: '',
    hasSecret: false,
    scopes: ['email', 'profile'],
    roleClaim: null,
    roleMap: {},
    defaultRole: null,
    teamClaim: null,
    teamMap: {},
    createsMembers: false,
    emailDomains: [],
    isEnforced: false,
    isActive: true,
    provenAt: null,
    createdAt: now,
    updatedAt: now,
  }
}

/** Members that are left out stay unchanged. Another issuer or client must be proven again. */
export function changed(before: IdentityProvider, input: ProviderInput, now: Date): IdentityProvider {
  const after = {
    ...before,
    name: input.name ?? before.name,
    issuer: input.issuer ?? before.issuer,
    clientId: input.client_id ?? before.clientId,
    hasSecret: input.client_secret === undefined ? before.hasSecret : input.client_secret !== null,
    scopes: input.scopes === undefined ? before.scopes : input.scopes.filter((scope) => scope !== 'openid'),
    roleClaim: input.role_claim === undefined ? before.roleClaim : input.role_claim,
    roleMap: input.role_map ?? before.roleMap,
    defaultRole: input.default_role === undefined ? before.defaultRole : input.default_role,
    teamClaim: input.team_claim === undefined ? before.teamClaim : input.team_claim,
    teamMap: lowered(input.team_map) ?? before.teamMap,
    createsMembers: input.creates_members ?? before.createsMembers,
    emailDomains: input.email_domains?.map((domain) => domain.toLowerCase()) ?? before.emailDomains,
    isEnforced: input.is_enforced ?? before.isEnforced,
    isActive: input.is_active ?? before.isActive,
    updatedAt: new Date(Math.max(now.getTime(), before.updatedAt.getTime() + 1)),
  }
  return isSameParty(before, after) ? after : { ...after, provenAt: null }
}

/** As the database writes ids. */
function lowered(teamMap: Readonly<Record<string, string>> | undefined): Readonly<Record<string, string>> | undefined {
  return teamMap && Object.fromEntries(Object.entries(teamMap).map(([value, id]) => [value, id.toLowerCase()]))
}

/** What events keep of it: no secret. */
export function auditedFields(provider: IdentityProvider) {
  return {
    name: provider.name,
    issuer: provider.issuer,
    client_id: provider.clientId,
    has_secret: provider.hasSecret,
    scopes: provider.scopes,
    role_claim: provider.roleClaim,
    role_map: provider.roleMap,
    default_role: provider.defaultRole,
    team_claim: provider.teamClaim,
    team_map: provider.teamMap,
    creates_members: provider.createsMembers,
    email_domains: provider.emailDomains,
    is_enforced: provider.isEnforced,
    is_active: provider.isActive,
  }
}
