import type { FastifyInstance } from 'fastify'
import type { Db } from '../platform/database/db.ts'
import type { Logger } from '../platform/log.ts'
import type { HttpSettings } from '../settings/http.ts'
import type { ServiceSettings } from '../settings/service.ts'
import { registerIdempotency } from './idempotency.ts'
import { registerOpenApi } from './openapi.ts'
import { createRateLimits, limitUnauthenticated, type RateLimits } from './rate-limits.ts'
import { createHttpServer } from './server.ts'

export interface HttpModuleDependencies {
  readonly db: Db
  readonly log: Logger
  /** The current key first. */
  readonly secretKeys: readonly [string, ...string[]]
  readonly settings: HttpSettings & ServiceSettings
  readonly version: string
}

export interface HttpModule {
  readonly http: FastifyInstance
  readonly limits: RateLimits
}

/** The web server, ready for routes. */
export async function createHttpModule(dependencies: HttpModuleDependencies): Promise<HttpModule> {
  const { db, log, secretKeys, settings, version } = dependencies
  const http = await createHttpServer({
    log,
    bodyLimitBytes: settings.BODY_LIMIT_BYTES,
    requestTimeoutMs: settings.REQUEST_TIMEOUT_SECONDS * 1_000,
    stopGraceMs: settings.SHUTDOWN_GRACE_SECONDS * 1_000,
    corsOrigins: settings.CORS_ORIGINS,
    publicUrl: settings.publicUrl,
    trustedProxies: settings.TRUSTED_PROXIES,
  })
  await registerOpenApi(http, version)
  registerIdempotency(http, secretKeys)
  const limits = createRateLimits(db, secretKeys[0], {
    key: settings.RATE_LIMIT_KEY,
    person: settings.RATE_LIMIT_PERSON,
    address: settings.RATE_LIMIT_ADDRESS,
  })
  limitUnauthenticated(http, limits)
  return { http, limits }
}
