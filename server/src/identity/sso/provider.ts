import { isIP } from 'node:net'
import { publicPath } from '../../http/public-path.ts'
import { invalid, refusal } from '../../platform/problem.ts'
import type { Role } from '../principal.ts'

/** Roles that claims may give. Ownership is handed over by its owner, never by a provider. */
export const claimableRoles = ['admin', 'reviewer', 'auditor'] as const satisfies readonly Role[]
export type ClaimableRole = (typeof claimableRoles)[number]

/** An OpenID provider that an organization trusts to say who its people are. Its word counts in this organization only. */
export interface IdentityProvider {
  readonly organizationId: string
  readonly id: string
  readonly name: string
  /** As the provider writes it in its tokens, compared letter by letter (OpenID Connect Core, 3.1.3.7). */
  readonly issuer: string
  readonly clientId: string
  /** Null: a public client; PKCE alone protects the code. */
  readonly hasSecret: boolean
  readonly scopes: readonly string[]
  readonly roleClaim: string | null
  readonly roleMap: Readonly<Record<string, ClaimableRole>>
  /** The role of people without a mapped claim. Null: without a mapped claim they cannot sign in. */
  readonly defaultRole: ClaimableRole | null
  readonly teamClaim: string | null
  /** The claim's value to the team's id. */
  readonly teamMap: Readonly<Record<string, string>>
  readonly createsMembers: boolean
  /** When not empty, only verified addresses of these domains become members by themselves. */
  readonly emailDomains: readonly string[]
  /** Passwords no longer let into this organization, the owner's excepted. */
  readonly isEnforced: boolean
  readonly isActive: boolean
  /** The last time somebody came in, or linked an account, through it as it is configured now. */
  readonly provenAt: Date | null
  readonly createdAt: Date
  readonly updatedAt: Date
}

export const providerNotFound = refusal(404, 'identity_provider.not_found', 'Identity provider not found')

/** Enforcing a provider that does not work would lock everybody out. */
export const providerNotProven = refusal(
  409,
  'identity_provider.not_proven',
  'Nobody has signed in through this provider yet, as it is configured now. Sign in or link your own account with it once, ' +
    'then enforce it.',
)

export const providerExists = refusal(
  409,
  'identity_provider.exists',
  'This organization has a provider with this issuer and client already. Change that one.',
)

export const providerChanged = refusal(
  409,
  'identity_provider.changed',
  'Somebody else changed this provider just now. Read it again.',
)

export const ssoRequired = refusal(
  403,
  'sso.required',
  ({ id }: Pick<IdentityProvider, 'id'>, publicUrl: string) => {
    const start = `${publicPath(publicUrl)}/api/v1/auth/sso/${id}/start`
    return {
      detail: 'Sign in through the identity provider of your organization: it accepts no other sign-in.',
      extra: { sso_start: start },
    }
  },
  { id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a70' },
  'https://hitl.example.com',
)

/** `http` is only for a provider on this machine, which the list of allowed targets must name too. */
export function isSecureUrl(url: URL): boolean {
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || (isIP(hostname) === 4 && hostname.startsWith('127.'))
}

/** Throws 422 unless the text can be an issuer (OpenID Connect Discovery, 3: https, no query, no fragment). */
export function checkIssuer(issuer: string): string {
  const url = URL.canParse(issuer) ? new URL(issuer) : null
  if (url === null || !isSecureUrl(url)) {
    throw invalid('issuer', 'must be an https:// URL, written exactly as the provider names itself')
  }
  if (url.search !== '' || url.hash !== '' || url.username !== '' || url.password !== '' || /[?#]/.test(issuer)) {
    throw invalid('issuer', 'must have no query, fragment, user name or password')
  }
  // The library would treat it as the discovery document itself and then not compare the issuer.
  if (url.pathname.includes('/.well-known/')) {
    throw invalid('issuer', 'must be the issuer itself, without /.well-known/openid-configuration')
  }
  return issuer
}

/** Throws 422 for settings that contradict one another. */
export function checkProvider(provider: IdentityProvider): IdentityProvider {
  checkIssuer(provider.issuer)
  if (provider.roleClaim === null && Object.keys(provider.roleMap).length > 0) {
    throw invalid('role_map', 'needs role_claim: name the claim whose values it maps')
  }
  if (provider.teamClaim === null && Object.keys(provider.teamMap).length > 0) {
    throw invalid('team_map', 'needs team_claim: name the claim whose values it maps')
  }
  if (provider.createsMembers && provider.roleClaim === null && provider.defaultRole === null) {
    throw invalid('default_role', 'or role_claim is needed with creates_members: a new member must get some role')
  }
  if (provider.isEnforced && !provider.isActive) {
    throw invalid('is_enforced', 'needs is_active: nobody could sign in')
  }
  return provider
}

/** Whether the provider was tried as it is now: another issuer or client is another provider. */
export function isSameParty(a: IdentityProvider, b: IdentityProvider): boolean {
  return a.issuer === b.issuer && a.clientId === b.clientId
}
