import { createHmac, createSecretKey, hkdfSync } from 'node:crypto'
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { Db } from '../platform/database/db.ts'
import { createRateLimiter, type RateLimiter, type Standing } from '../platform/limits/rate-limit.ts'
import { createRateLimitStore } from '../platform/limits/rate-limit-store.ts'
import type { Problem } from '../platform/problem.ts'
import type { HttpSettings } from '../settings/http.ts'
import type { Client } from './client.ts'
import { rateLimited } from './refusals.ts'

const callers = {
  key: { setting: 'RATE_LIMIT_KEY', whose: 'with this API key' },
  person: { setting: 'RATE_LIMIT_PERSON', whose: 'of this person' },
  address: { setting: 'RATE_LIMIT_ADDRESS', whose: 'without valid credentials from this network' },
} as const

type Counted = keyof typeof callers

/** Each counts a call, reports the count in the reply's headers, and throws 429 beyond the limit. Mostly synchronous. */
export interface RateLimits {
  count(kind: 'key' | 'person', id: string, reply: FastifyReply): Promise<void> | undefined
  /** A call without valid credentials, in each of its caller's networks. */
  countStranger(client: Client, reply: FastifyReply): Promise<void> | undefined
}

/** One row per caller for all processes, keyed by an HMAC of the caller's id. */
export function createRateLimits(db: Db, secretKey: string, settings: HttpSettings): RateLimits {
  const { lease } = createRateLimitStore(db)
  const key = createSecretKey(Buffer.from(hkdfSync('sha256', secretKey, '', 'hitl rate limits v1', 32)))
  const counterOf = (kind: Counted) => {
    const limit = settings[callers[kind].setting]
    if (limit === null) return null
    const limiter = createRateLimiter({
      limit,
      lease,
      keyOf: (id) => createHmac('sha256', key).update(`${kind} ${id}`).digest().subarray(0, 16),
      // Callers with credentials then get 503, as from every route. Callers without are only refused anyway, and a malformed
      // call stays a malformed call: each process counts those alone.
      without: kind === 'address' ? 'alone' : 'refuse',
    })
    return counter(kind, limiter)
  }
  const counters = { key: counterOf('key'), person: counterOf('person'), address: counterOf('address') }
  return {
    count: (kind, id, reply) => counters[kind]?.([id], reply),
    countStranger: ({ networks }, reply) => counters.address?.(networks, reply),
  }
}

/** RateLimit-Policy and RateLimit as in draft-ietf-httpapi-ratelimit-headers-10. */
function counter(kind: Counted, { limit, take }: RateLimiter) {
  const policy = `"${kind}";q=${limit.calls};w=${limit.seconds}`
  const report = ({ refused, remaining, reset }: Standing, reply: FastifyReply): void => {
    reply.header('ratelimit-policy', policy)
    reply.header('ratelimit', `"${kind}";r=${refused ? 0 : remaining};t=${reset}`)
    if (refused) throw rateLimited(callers[kind].whose, limit.calls, limit.seconds, reset)
  }
  return (ids: readonly string[], reply: FastifyReply): Promise<void> | undefined => {
    const standings = ids.map(take)
    if (standings.every((standing): standing is Standing => !(standing instanceof Promise))) {
      report(tightest(standings), reply)
      return undefined
    }
    return Promise.all(standings).then((settled) => report(tightest(settled), reply))
  }
}

function tightest(standings: readonly Standing[]): Standing {
  return standings.reduce((least, one) =>
    Number(one.refused) > Number(least.refused) || (one.refused === least.refused && one.remaining < least.remaining)
      ? one
      : least,
  )
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
      const counting = limits.countStranger(request.client, reply)
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
