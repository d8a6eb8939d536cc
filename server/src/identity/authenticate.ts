import { bearerChallenge, tokenChallenge, unauthenticated } from '../http/refusals.ts'
import type { Clock } from '../platform/clock.ts'
import { type AnyRefusal, refusal } from '../platform/problem.ts'
import type { AccessTokens } from './access-token.ts'
import { createCredentialCache } from './credential-cache.ts'
import type { Agent, Call, Person, Principal, Role } from './principal.ts'

export interface Authenticator {
  /** The principal behind an `Authorization` header. Throws 401, or 403 for a key that may not be used from that address. */
  authenticate(authorization: string | undefined, call: Call): Promise<Principal>
  /** The person of this session. Throws 401 once it has ended. */
  personOf(session: SessionOfPerson): Promise<Person>
  /** How keys are refused, for the documents. */
  readonly keyRefusals: readonly AnyRefusal[]
  /** Reports a call that its caller had no right to, where the audit keeps it. */
  refused(principal: Principal, error: unknown, call: Call): void
  /** Call it when a key, a user or a session changed: this process notices at once, others within a second. */
  forget(id: string): void
  /** Writes what is pending: uses of keys and reports of refused calls. */
  close(): Promise<void>
}

/** Names a session, and whose it is. */
export interface SessionOfPerson {
  readonly organizationId: string
  readonly userId: string
  readonly sessionId: string
}

/** The current state of an access token's session. */
export interface SessionForAuthentication {
  readonly accountId: string
  readonly role: Role
  readonly name: string | null
  readonly isActive: boolean
  readonly signedInWith: readonly string[]
  readonly signedInAt: Date
  /** Null while it is live. */
  readonly revokedAt: Date | null
  readonly expiresAt: Date
}

/** The rooms that keep credentials stand above this one, so they hand in how to look them up. */
export interface AuthenticatorDependencies {
  readonly clock: Clock
  readonly tokens: AccessTokens
  readonly findSession: (session: SessionOfPerson) => Promise<SessionForAuthentication | null>
  readonly keys: {
    /** Null unless it is a valid key. Throws 401 if it has expired, 403 if it is used from an address it is not for. */
    agentOf(raw: string, call: Call): Promise<Agent | null>
    /** What `agentOf` throws. */
    readonly refusals: readonly AnyRefusal[]
    forget(id: string): void
    close(): Promise<void>
  }
  readonly refusedCalls: {
    rightRefused(agent: Agent, error: unknown, call: Call): void
    /** Resolves when everything is written. */
    settled(): Promise<void>
  }
}

export function createAuthenticator(dependencies: AuthenticatorDependencies): Authenticator {
  const { clock, tokens, findSession, keys, refusedCalls } = dependencies
  const people = createCredentialCache((all) => {
    const [organizationId = '', userId = '', sessionId = ''] = all.split('/')
    return findSession({ organizationId, userId, sessionId })
  })

  const personOfToken = async (token: string): Promise<Person | null> => {
    const { sessionId, ...subject } = (await tokens.verify(token, clock.now())) ?? {}
    return sessionId === undefined
      ? null
      : livePerson({ ...(subject as Omit<SessionOfPerson, 'sessionId'>), sessionId })
  }

  const livePerson = async ({ organizationId, userId, sessionId }: SessionOfPerson): Promise<Person | null> => {
    const now = clock.now()
    const found = await people.get(`${organizationId}/${userId}/${sessionId}`)
    if (found === null || !found.isActive || found.revokedAt !== null || found.expiresAt <= now) return null
    const { accountId, role, name } = found
    const signIn = { methods: found.signedInWith, at: found.signedInAt }
    return { kind: 'person', organizationId, userId, accountId, role, name, sessionId, signIn }
  }

  return {
    keyRefusals: keys.refusals,
    authenticate: async (authorization, call) => {
      // RFC 6750, 2.1; the scheme is case-insensitive (RFC 9110, 11.1).
      const token = /^bearer +([^\s]+) *$/i.exec(authorization ?? '')?.[1]
      if (token === undefined) throw credentialsMissing(authorization)
      const principal = token.startsWith('hitl_') ? await keys.agentOf(token, call) : await personOfToken(token)
      if (principal === null) throw unauthenticated()
      return principal
    },
    personOf: async (session) => {
      const person = await livePerson(session)
      if (person === null) throw unauthenticated()
      return person
    },
    refused: (principal, error, call) => {
      if (principal.kind === 'agent') refusedCalls.rightRefused(principal, error, call)
    },
    forget: (id) => {
      keys.forget(id)
      people.forget(id)
    },
    close: async () => {
      await Promise.all([keys.close(), refusedCalls.settled()])
    },
  }
}

export const credentialsMissing = refusal(
  401,
  'auth.missing',
  (authorization: string | undefined) => ({
    // Such as a script that took an error's text for its token.
    detail: authorization
      ? 'The Authorization header holds something else than one access token or API key. Look at what your program put there.'
      : 'Sign in to do this, or send an API key.',
    headers: bearerChallenge,
    extra: { how: 'Send the header Authorization: Bearer, followed by an access token or API key.' },
  }),
  undefined,
)

export const sessionOver = refusal(401, 'session.over', {
  detail: 'Sign in again: this session has ended.',
  headers: tokenChallenge,
})
