import { timingSafeEqual } from 'node:crypto'
import type { Clock } from '../platform/clock.ts'
import type { Db } from '../platform/db.ts'
import { Problem } from '../platform/problem.ts'
import type { AccessTokens } from './access-token.ts'
import { apiKeyId, hashApiKey } from './agents/api-key.ts'
import * as agents from './agents/store.ts'
import { createCredentialCache } from './credential-cache.ts'
import type { Agent, Person, Principal } from './principal.ts'
import * as sessions from './sessions/store.ts'

export interface Authenticator {
  /** The principal behind an `Authorization` header. Throws 401. */
  authenticate(authorization: string | undefined): Promise<Principal>
  /** Called when a key, a user or a session changed in this process, which then notices at once; others within a second. */
  forget(id: string): void
  /** Writes the pending `last_used_at` of keys. */
  close(): Promise<void>
}

/** `last_used_at` is written at most this often per key and process, so it is at most a minute stale. */
const usedEveryMs = 30_000

export function createAuthenticator(db: Db, tokens: AccessTokens, clock: Clock): Authenticator {
  const keys = createCredentialCache((id) => agents.apiKeyForAuthentication(db.within({ lookUp: id }), id))
  const people = createCredentialCache((all) => {
    const [organizationId = '', userId = '', sessionId = ''] = all.split('/')
    return sessions.sessionForAuthentication(db.within({ organizationId }), organizationId, userId, sessionId)
  })
  const usedAt = new Map<string, number>()
  let writing: Promise<void> = Promise.resolve()

  const markUsed = (agent: Agent): void => {
    const now = clock.now()
    if (now.getTime() - (usedAt.get(agent.apiKeyId) ?? 0) < usedEveryMs) return
    usedAt.set(agent.apiKeyId, now.getTime())
    // Not awaited by the call and not retried: a missed mark is written half a minute later.
    writing = writing
      .then(() =>
        agents.markApiKeyUsed(
          db.within({ organizationId: agent.organizationId }),
          agent.organizationId,
          agent.apiKeyId,
          now,
        ),
      )
      .catch(() => void usedAt.delete(agent.apiKeyId))
  }

  const agentOf = async (raw: string): Promise<Agent | null> => {
    const id = apiKeyId(raw)
    const found = id === null ? null : await keys.get(id)
    if (found === null || !found.key.isActive || !timingSafeEqual(found.hash, hashApiKey(raw))) return null
    const agent: Agent = { kind: 'agent', organizationId: found.key.organizationId, apiKeyId: found.key.id }
    markUsed(agent)
    return agent
  }

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
    authenticate: async (authorization) => {
      // RFC 6750, 2.1; the scheme is case-insensitive (RFC 9110, 11.1).
      const token = /^bearer +([^\s]+) *$/i.exec(authorization ?? '')?.[1]
      if (token === undefined) {
        throw unauthenticated('auth.missing', 'Send an Authorization header: "Bearer" and an access token or API key.')
      }
      const principal = token.startsWith('hitl_') ? await agentOf(token) : await personOf(token)
      if (principal !== null) return principal
      throw unauthenticated(
        'auth.invalid',
        'The access token or API key is not valid any more, or never was. Sign in again, or use another key.',
      )
    },
    forget: (id) => {
      keys.forget(id)
      people.forget(id)
    },
    close: () => writing,
  }
}

/** 401 with the challenge that RFC 9110, 11.6.1 asks for. */
export function unauthenticated(code: string, detail: string): Problem {
  return new Problem(401, code, detail, { headers: { 'www-authenticate': 'Bearer realm="hitl"' } })
}
