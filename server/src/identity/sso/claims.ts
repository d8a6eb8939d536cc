import { toLine } from '../../platform/visible-text.ts'
import { emailPattern } from '../accounts/user.ts'
import { type ClaimableRole, claimableRoles, type IdentityProvider } from './provider.ts'

/** What a provider says of a person: the ID token's claims, and those of the userinfo endpoint that it lacks. */
export interface Claims {
  readonly subject: string
  readonly all: Readonly<Record<string, unknown>>
}

const address = new RegExp(emailPattern, 'u')

/**
 * The values of a claim: a text or a list of texts. A name such as `https://example.com/roles` is a claim's own; one such as
 * `realm_access.roles` may also be a path into nested objects.
 */
export function valuesOf(claims: Claims, name: string): readonly string[] {
  const value =
    own(claims.all, name) ?? name.split('.').reduce<unknown>((inside, step) => own(inside, step), claims.all)
  return [value].flat().filter((one): one is string => typeof one === 'string')
}

/** When the person last proved themselves to the provider, as far as it says; never after `now`. */
export function authenticatedAt({ all }: Claims, now: Date): Date {
  const seconds = all.auth_time
  return typeof seconds === 'number' && seconds >= 0 ? new Date(Math.min(now.getTime(), seconds * 1_000)) : now
}

/** The highest role that the claims give; null: none, and no entry. */
export function roleFrom(provider: IdentityProvider, claims: Claims): ClaimableRole | null {
  if (provider.roleClaim === null) return provider.defaultRole
  const given = valuesOf(claims, provider.roleClaim).map((value) => own(provider.roleMap, value))
  return claimableRoles.find((role) => given.includes(role)) ?? provider.defaultRole
}

/** The teams the claims name, of those the provider has a say over. */
export function teamsFrom(provider: IdentityProvider, claims: Claims): ReadonlySet<string> {
  if (provider.teamClaim === null) return new Set()
  const given = valuesOf(claims, provider.teamClaim).map((value) => own(provider.teamMap, value))
  return new Set(given.filter((team): team is string => typeof team === 'string'))
}

/** The teams whose members the claims decide over; all others are left to people. */
export function teamsDecidedBy(provider: IdentityProvider): ReadonlySet<string> {
  return new Set(provider.teamClaim === null ? [] : Object.values(provider.teamMap))
}

export interface ClaimedProfile {
  readonly email: string
  readonly isVerified: boolean
  readonly name: string | null
}

/** For lists only, because an address does not identify a person. Null if there is none that can be stored. */
export function profileFrom(claims: Claims): ClaimedProfile | null {
  const { email, email_verified: verified, name } = claims.all
  if (typeof email !== 'string' || email.length > 254 || !email.isWellFormed() || !address.test(email)) return null
  // Some providers send a text: docs/decisions/0014-single-sign-on.md.
  const isVerified = verified === true || verified === 'true'
  return { email, isVerified, name: typeof name === 'string' ? toLine(name, 255) : null }
}

export type ReasonAgainst = 'not_a_member' | 'no_address' | 'address_not_verified' | 'domain_not_allowed'

/** Why the claims make nobody a member; null when they do. */
export function refusalOfNewMember(provider: IdentityProvider, profile: ClaimedProfile | null): ReasonAgainst | null {
  if (!provider.createsMembers) return 'not_a_member'
  if (profile === null) return 'no_address'
  if (provider.emailDomains.length === 0) return null
  if (!profile.isVerified) return 'address_not_verified'
  const domain = profile.email.slice(profile.email.indexOf('@') + 1).toLowerCase()
  return provider.emailDomains.includes(domain) ? null : 'domain_not_allowed'
}

/** Ignores what every object inherits: `constructor` is not a claim. */
function own(object: unknown, name: string): unknown {
  return typeof object === 'object' && object !== null && Object.hasOwn(object, name)
    ? (object as Record<string, unknown>)[name]
    : undefined
}
