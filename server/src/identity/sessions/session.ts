import type { Actor } from '../../facts/fact.ts'
import { type Cookie, createCookie, sessionCookie } from '../../http/cookies.ts'
import { bearerChallenge } from '../../http/refusals.ts'
import { refusal } from '../../platform/problem.ts'

/** The rules of sessions: pure. */

export type SignInMethod = 'password' | 'totp' | 'recovery_code' | 'passkey' | 'oidc'

/** The identity, and its provider, that opened a session by single sign-on; it ends with either. */
export interface OpenedBy {
  readonly identityProviderId: string
  readonly ssoIdentityId: string
}

export interface Session {
  readonly id: string
  /** Null where single sign-on did not open it. */
  readonly identityProviderId: string | null
  readonly ssoIdentityId: string | null
  readonly accountId: string
  readonly organizationId: string
  readonly userId: string
  /** A browser renews its session with a cookie; a bearer's session ends with its access token. */
  readonly kind: 'browser' | 'bearer'
  readonly signedInWith: readonly string[]
  readonly signedInAt: Date
  readonly network: string | null
  readonly userAgent: string | null
  readonly lastUsedAt: Date
  readonly idleUntil: Date
  readonly expiresAt: Date
  readonly revokedAt: Date | null
}

export interface RefreshToken {
  readonly generation: number
  readonly replacedAt: Date | null
}

/** Two tabs that renew at once send the same token: the slower one gets another token of the newest generation. */
export const graceMs = 10_000

/** Whether it was copied, or kept, from before the session was renewed. */
export function isStale({ replacedAt }: Pick<RefreshToken, 'replacedAt'>, now: Date): boolean {
  return replacedAt !== null && now.getTime() - replacedAt.getTime() >= graceMs
}

export type RefreshVerdict = { readonly kind: 'rotate'; readonly generation: number } | { readonly kind: 'reuse' }

/**
 * What to do with a refresh token that this service issued (RFC 9700, 4.14.2). A live one is replaced by the next
 * generation; one replaced moments ago gets another of the newest; any other was copied, so the session ends.
 */
export function judgeRefresh(token: RefreshToken, newest: number, now: Date): RefreshVerdict {
  if (isStale(token, now)) return { kind: 'reuse' }
  return { kind: 'rotate', generation: token.replacedAt === null ? token.generation + 1 : newest }
}

/** The person whose session it is. */
export function ownActor({ id, userId, signedInWith }: Session): Actor {
  return { kind: 'person', id: userId, sessionId: id, signedInWith }
}

export function isLive(session: Session, now: Date): boolean {
  return session.revokedAt === null && session.expiresAt > now && session.idleUntil > now
}

/** `Strict`: browsers send it only with calls that pages of this service make. */
export function createSessionCookie(publicUrl: string): Cookie {
  return createCookie(publicUrl, sessionCookie, 'Strict')
}

export const sessionNotFound = refusal(404, 'session.not_found', 'Session not found, or already ended')

export const noSession = refusal(401, 'session.missing', {
  detail: 'There is no session to renew. Sign in.',
  headers: bearerChallenge,
})

export const keyHasNoSession = refusal(403, 'session.not_of_key', {
  detail: 'An API key cannot sign out, because it never signed in. To end it, ask an administrator to revoke it.',
  extra: { how: 'An administrator sends PATCH /api/v1/api-keys/{id} with is_active: false.' },
})

export const wrongCredentials = refusal(401, 'auth.wrong_credentials', {
  detail: 'Incorrect email or password',
  headers: bearerChallenge,
})

/** For a member who could enter a moment ago and no longer can. */
export const entryRefused = refusal(
  403,
  'organization.no_entry',
  'You cannot enter this organization now: your membership is not active, or it is being deleted. Ask an administrator.',
)

export const cookieMissing = refusal(
  403,
  'session.cookie_missing',
  "This is a browser's session: send its cookie along (fetch with credentials), or sign in again.",
)
