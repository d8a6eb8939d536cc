import { later } from '../../../platform/clock.ts'
import { fieldsOf, names, valuesOf } from '../../../platform/names.ts'
import { type IdentityProvider, isSameParty } from '../provider.ts'

const settings = names(
  'name, issuer, client_id, scopes, role_claim, role_map, default_role, team_claim, team_map, creates_members, email_domains, is_enforced, is_active',
)

type Settings = ReturnType<typeof valuesOf<(typeof settings)[number], IdentityProvider>>

/** Null says of these that they are left out. */
const lists = ['scopes', 'role_map', 'team_map', 'email_domains'] as const
type NullOf<Name> = Name extends (typeof lists)[number] ? null : never

/** What an administrator sets, in the wire's names. */
export type ProviderInput = { readonly [Name in keyof Settings]?: Settings[Name] | undefined | NullOf<Name> } & {
  /** Left out: as it was. Null: none. */
  readonly client_secret?: string | null | undefined
}

export type NewProviderInput = ProviderInput & Pick<Settings, 'name' | 'issuer' | 'client_id'>

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
  const isGiven = ([name, value]: readonly [string, unknown]) =>
    value !== undefined && (value !== null || lists.every((list) => list !== name))
  const given = Object.fromEntries(Object.entries(input).filter(isGiven))
  const asked: Settings = { ...valuesOf(before, settings), ...given }
  const after = {
    ...before,
    ...fieldsOf(asked, settings),
    hasSecret: input.client_secret === undefined ? before.hasSecret : input.client_secret !== null,
    scopes: asked.scopes.filter((scope) => scope !== 'openid'),
    // As the database writes ids.
    teamMap: Object.fromEntries(Object.entries(asked.team_map).map(([value, id]) => [value, id.toLowerCase()])),
    emailDomains: asked.email_domains.map((domain) => domain.toLowerCase()),
    updatedAt: later(before, now),
  }
  return isSameParty(before, after) ? after : { ...after, provenAt: null }
}

/** What events keep of it: no secret. */
export function auditedFields(provider: IdentityProvider) {
  return { ...valuesOf(provider, settings), has_secret: provider.hasSecret }
}
