import type { Clock } from '../platform/clock.ts'
import type { Db } from '../platform/database/db.ts'
import { Problem } from '../platform/problem.ts'
import type { AccessTokens } from './access-token.ts'
import type { KeyAuthenticator } from './api-keys/authenticate-key.ts'
import type { Call, Refusals } from './api-keys/refusals.ts'
import { createCredentialCache } from './credential-cache.ts'
import type { Person, Principal } from './principal.ts'
import * as sessions from './sessions/store.ts'

export interface Authenticator {
  /** The principal behind an `Authorization` header. Throws 401, and 403 for a key that may not be used from there. */
  authenticate(authorization: string | undefined, call: Call): Promise<Principal>
  /** Tells the audit what it is to know of a call that its caller had no right to. */
  refused(principal: Principal, error: unknown, call: Call): void
  /** Called when a key, a user or a session changed in this process, which then notices at once; others within a second. */
  forget(id: string): void
  /** Writes what is pending: the marks of keys, what the audit is told of refusals. */
  close(): Promise<void>
}

export function createAuthenticator(
  db: Db,
  tokens: AccessTokens,
  clock: Clock,
  keys: KeyAuthenticator,
  refusals: Refusals,
): Authenticator {
  const people = createCredentialCache((all) => {
    const [organizationId = '', userId = '', sessionId = ''] = all.split('/')
    return sessions.sessionForAuthentication(db.within({ organizationId }), organizationId, userId, sessionId)
  })

  const personOf = async (token: string): Promise<Person | null> => {
    const now = clock.now()
    const subject = await tokens.verify(token, now)
    if (subject?.sessionId === undefined) return null
    const { organizationId, userId, sessionId } = subject
    const found = await people.get(`${organizationId}/${userId}/${sessionId}`)
    if (found === null || !found.isActive || found.revokedAt !== null || found.expiresAt <= now) return null
    const { accountId, role } = found
    const signIn = { methods: found.signedInWith, at: found.signedInAt }
    return { kind: 'person', organizationId, userId, accountId, role, sessionId, signIn }
  }

  return {
    authenticate: async (authorization, call) => {
      // RFC 6750, 2.1; the scheme is case-insensitive (RFC 9110, 11.1).
      const token = /^bearer +([^\s]+) *$/i.exec(authorization ?? '')?.[1]
      if (token === undefined) {
        throw unauthenticated('auth.missing', 'Send an Authorization header: "Bearer" and an access token or API key.')
      }
      const principal = token.startsWith('hitl_') ? await keys.agentOf(token, call) : await personOf(token)
      if (principal !== null) return principal
      throw unauthenticated(
        'auth.invalid',
        'The access token or API key is not valid any more, or never was. Sign in again, or use another key.',
      )
    },
    refused: (principal, error, call) => {
      if (principal.kind === 'agent') refusals.rightRefused(principal, error, call)
    },
    forget: (id) => {
      keys.forget(id)
      people.forget(id)
    },
    close: async () => {
      await Promise.all([keys.close(), refusals.settled()])
    },
  }
}

/** 401 with the challenge that RFC 9110, 11.6.1 asks for. */
export function unauthenticated(code: string, detail: string): Problem {
  return new Problem(401, code, detail, { headers: { 'www-authenticate': 'Bearer realm="hitl"' } })
}

export function sessionOver(): Problem {
  return unauthenticated('session.over', 'This session has ended. Sign in again.')
}
