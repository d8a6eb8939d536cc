import { createHmac, createSecretKey, hkdfSync } from 'node:crypto'
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { Db } from '../platform/database/db.ts'
import { createRateLimiter, type RateLimit, type RateLimiter, type Standing } from '../platform/limits/rate-limit.ts'
import { createRateLimitStore } from '../platform/limits/rate-limit-store.ts'
import type { Problem } from '../platform/problem.ts'
import { rateLimited } from './refusals.ts'

/** Whose calls are counted together. */
export type Counted = 'key' | 'person' | 'address'

export interface RateLimits {
  /** Counts a call of this caller, reports the count in the reply's headers, and throws 429 beyond the limit. Mostly synchronous. */
  count(kind: Counted, id: string, reply: FastifyReply): Promise<void> | undefined
}

const whose: Readonly<Record<Counted, string>> = {
  key: 'with this API key',
  person: 'of this person',
  address: 'without valid credentials from this network',
}

/** Null: no limit of that kind. */
export type RateLimitSettings = Readonly<Record<Counted, RateLimit | null>>

/** One row per caller for all processes, keyed by an HMAC of the caller's id. */
export function createRateLimits(db: Db, secretKey: string, settings: RateLimitSettings): RateLimits {
  const { lease } = createRateLimitStore(db)
  const key = createSecretKey(Buffer.from(hkdfSync('sha256', secretKey, '', 'hitl rate limits v1', 32)))
  const limiterOf = (kind: Counted): RateLimiter | null => {
    const limit = settings[kind]
    if (limit === null) return null
    return createRateLimiter({
      limit,
      lease,
      keyOf: (id) => createHmac('sha256', key).update(`${kind} ${id}`).digest().subarray(0, 16),
      // Callers with credentials then get 503, as from every route. Callers without are only refused anyway, and a malformed
      // call stays a malformed call: each process counts those alone.
      without: kind === 'address' ? 'alone' : 'refuse',
    })
  }
  return tellingRateLimits({ key: limiterOf('key'), person: limiterOf('person'), address: limiterOf('address') })
}

/** RateLimit-Policy and RateLimit as in draft-ietf-httpapi-ratelimit-headers-10. */
function tellingRateLimits(limiters: Readonly<Record<Counted, RateLimiter | null>>): RateLimits {
  const policyOf = (kind: Counted): string => {
    const limit = limiters[kind]?.limit
    return limit === undefined ? '' : `"${kind}";q=${limit.calls};w=${limit.seconds}`
  }
  const policies = { key: policyOf('key'), person: policyOf('person'), address: policyOf('address') }

  const report = (kind: Counted, { refused, remaining, reset }: Standing, reply: FastifyReply): void => {
    reply.header('ratelimit-policy', policies[kind])
    reply.header('ratelimit', `"${kind}";r=${refused ? 0 : remaining};t=${reset}`)
    if (!refused) return
    const { calls = 0, seconds = 0 } = limiters[kind]?.limit ?? {}
    throw rateLimited(whose[kind], calls, seconds, reset)
  }

  return {
    count: (kind, id, reply) => {
      const limiter = limiters[kind]
      if (limiter === null) return undefined
      const standing = limiter.take(id)
      if (standing instanceof Promise) return standing.then((settled) => report(kind, settled, reply))
      report(kind, standing, reply)
      return undefined
    },
  }
}

/**
 * Counts unauthenticated calls per network: public pages, sign-in, unknown paths. A guard runs in onRequest and either sets
 * `actor`, or refuses and counts the call itself; a call without an actor at preParsing has used no credentials. Health
 * checks are not counted: load balancers depend on them, also while a neighbour floods the service.
 */
export function limitUnauthenticated(app: FastifyInstance, limits: RateLimits): void {
  app.addHook('preParsing', (request, reply, payload, done) => {
    if (request.actor !== null || request.routeOptions.config.uncounted === true) return done(null, payload)
    try {
      const counting = limits.count('address', request.client.network, reply)
      if (counting === undefined) done(null, payload)
      else counting.then(() => done(null, payload), done)
    } catch (error) {
      done(error as Problem)
    }
  })
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Calls of this route count towards no rate limit. */
    readonly uncounted?: boolean
  }
}
