import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchema, onRequestAsyncHookHandler } from 'fastify'
import type { Access } from '../http/openapi.ts'
import type { RateLimits } from '../http/rate-limits.ts'
import { unauthenticated } from '../http/refusals.ts'
import { crossSite } from '../http/same-site.ts'
import { Problem } from '../platform/problem.ts'
import { type Authenticator, credentialsMissing, type SessionOfPerson, sessionOver } from './authenticate.ts'
import {
  type Agent,
  actorOf,
  type Caller,
  type Person,
  type Principal,
  type Right,
  refusalsOf,
  requireRight,
  rights,
  roles,
  scopeFor,
} from './principal.ts'

declare module 'fastify' {
  interface FastifyRequest {
    principal: Principal | null
    /** What the guard allowed, and when by `performance.now()`; null on routes without a guard. */
    allowed: { readonly right: Right; readonly at: number } | null
    /** The session of the cookie that the caller showed instead of a token; null otherwise. */
    cookieSession: SessionOfPerson | null
    /** Throws when the caller may no longer do what the guard allowed: for bodies and replies that take long. */
    allowAgain(): Promise<void>
  }
}

/** With the 800 ms that a credential is kept, what is revoked ends within a second: see credential-cache.ts. */
const allowedForMs = 200

/** Put first in a route that needs a right: the caller is authenticated before the body is read, which may be large only then. */
export type Guard = (
  right: Right,
  more?: {
    /** For reads that a browser's EventSource or WebSocket begins, which can send no token: pages of this service may show the session cookie. */
    readonly takesCookie?: boolean
  },
) => {
  readonly onRequest: onRequestAsyncHookHandler
  readonly bodyLimit: number
  readonly config: { readonly access: Access }
}

/** Makes the options of routes behind a guard that have this tag in OpenAPI. */
export function guardedRoutes(tag: string) {
  return <Guards extends object>(guards: Guards, schema: FastifySchema) => ({
    ...guards,
    schema: { tags: [tag], ...schema },
  })
}

export function createGuard(
  app: FastifyInstance,
  authenticator: Authenticator,
  {
    limits,
    bodyLimit,
    sessionOfCookie,
  }: {
    readonly limits: RateLimits
    readonly bodyLimit: number
    /** Null without a session cookie, and for one that belongs to no live session. Throws 403 for pages of others. */
    readonly sessionOfCookie: (request: FastifyRequest) => Promise<SessionOfPerson | null>
  },
): Guard {
  app.decorateRequest('principal', null)
  app.decorateRequest('cookieSession', null)
  app.decorateRequest('allowed', null)

  const byCredential = (request: FastifyRequest): Promise<Principal> =>
    request.cookieSession === null
      ? authenticator.authenticate(request.headers.authorization, callOf(request))
      : authenticator.personOf(request.cookieSession)

  const authenticated = async (
    request: FastifyRequest,
    reply: FastifyReply,
    takesCookie: boolean,
  ): Promise<Principal> => {
    try {
      if (takesCookie && request.headers.authorization === undefined)
        request.cookieSession = await sessionOfCookie(request)
      return await byCredential(request)
    } catch (error) {
      // Guesses count against the network they come from.
      if (error instanceof Problem && error.status < 500) {
        await limits.countStranger(request.client, reply)
      }
      throw error
    }
  }

  const requireAllowed = (request: FastifyRequest, principal: Principal, right: Right): void => {
    request.principal = principal
    try {
      requireRight(principal, right)
    } catch (error) {
      authenticator.refused(principal, error, callOf(request))
      throw error
    }
    request.allowed = { right, at: performance.now() }
  }

  const allowAgain = async (request: FastifyRequest, right: Right): Promise<void> =>
    requireAllowed(request, await byCredential(request), right)

  app.decorateRequest('allowAgain', async function () {
    if (this.allowed === null) throw new Error('this route has no guard')
    await allowAgain(this, this.allowed.right)
  })

  // A caller may send the body as slowly as it likes, and must not act with what was taken from it meanwhile.
  app.addHook('preHandler', (request, _reply, done) => {
    const { allowed } = request
    if (allowed === null || performance.now() - allowed.at < allowedForMs) return done()
    allowAgain(request, allowed.right).then(() => done(), done)
  })

  const accessOf = (right: Right, takesCookie: boolean): Access => {
    const scope = scopeFor(right)
    const isForPeople = roles.some((role) => (rights[right] as readonly string[]).includes(role))
    return {
      security: [
        ...(isForPeople ? [{ person: [] }, { accessToken: [] }] : []),
        ...(takesCookie ? [{ sessionCookie: [] }] : []),
        ...(scope === null ? [] : [{ apiKey: [scope] }]),
      ],
      refusals: [
        credentialsMissing,
        unauthenticated,
        ...(takesCookie ? [sessionOver, crossSite] : []),
        // Of agents only where they may call at all.
        ...(scope === null ? [] : authenticator.keyRefusals),
        ...refusalsOf(right),
      ],
    }
  }

  return (right, { takesCookie = false } = {}) => ({
    bodyLimit,
    config: { access: accessOf(right, takesCookie) },
    onRequest: async (request, reply) => {
      const principal = await authenticated(request, reply, takesCookie)
      // Before the limit and the right are judged, so that log and audit name a refused caller too.
      const { kind, id } = actorOf(principal)
      request.actor = { kind, id, organizationId: principal.organizationId }
      request.principal = principal
      const counting =
        principal.kind === 'agent'
          ? limits.count('key', principal.apiKeyId, reply)
          : limits.count('person', principal.accountId, reply)
      if (counting !== undefined) await counting
      if (principal.kind === 'agent' && principal.keyExpiring != null) {
        // An HTTP-date (RFC 9110, 5.6.7), as in Sunset (RFC 8594); without X-, as RFC 6648 asks.
        reply.header('api-key-expires', principal.keyExpiring.toUTCString())
      }
      requireAllowed(request, principal, right)
    },
  })
}

/** Where a call comes from, for any caller. */
export function callOf(request: FastifyRequest) {
  return { httpRequestId: request.id, network: request.client.address }
}

export function callerOf(request: FastifyRequest): Caller {
  if (request.principal === null) throw new Error('this route has no guard')
  return { principal: request.principal, ...callOf(request) }
}

/** For routes whose right only people have. */
export function personOf(request: FastifyRequest): Caller<Person> {
  const { principal, ...call } = callerOf(request)
  if (principal.kind !== 'person') throw new Error('this right is for people only')
  return { principal, ...call }
}

/** For routes whose right only agents have. */
export function agentOf(request: FastifyRequest): Caller<Agent> {
  const { principal, ...call } = callerOf(request)
  if (principal.kind !== 'agent') throw new Error('this right is for agents only')
  return { principal, ...call }
}
