import type { FastifyInstance } from 'fastify'
import type { Db } from '../platform/database/db.ts'
import type { Logger } from '../platform/log.ts'
import type { HttpSettings } from '../settings/http.ts'
import type { ServiceSettings } from '../settings/service.ts'
import { registerDocs } from './docs.ts'
import { type HealthOptions, registerHealth } from './health.ts'
import { registerIdempotency } from './idempotency.ts'
import { registerOpenApi } from './openapi.ts'
import type { Webhooks } from './openapi-document.ts'
import { createRateLimits, limitUnauthenticated } from './rate-limits.ts'
import { createHttpServer } from './server.ts'
import { registerWebApp } from './web-app.ts'

export interface HttpModuleDependencies {
  readonly db: Db
  readonly log: Logger
  /** The current key first. */
  readonly secretKeys: readonly [string, ...string[]]
  readonly settings: HttpSettings & ServiceSettings
  readonly version: string
}

export interface HttpContents extends Omit<HealthOptions, 'version' | 'environment'> {
  /** Routes under `/api/v1`. */
  readonly routes: readonly ((api: FastifyInstance) => void)[]
  /** Calls that the service makes. */
  readonly webhooks: Webhooks
  /** Routes at the root. */
  readonly pages: readonly ((http: FastifyInstance) => void)[]
}

/** The web server, ready for routes. */
export async function createHttpModule(dependencies: HttpModuleDependencies) {
  const { db, log, secretKeys, settings, version } = dependencies
  const http = await createHttpServer(log, settings)
  let calls: Webhooks = {}
  await registerOpenApi(http, version, settings.publicUrl, () => calls)
  registerIdempotency(http, secretKeys)
  const limits = createRateLimits(db, secretKeys[0], settings)
  limitUnauthenticated(http, limits)

  return {
    http,
    limits,
    /** Takes in what the modules serve; a worker serves nothing but its health. */
    open: async ({ routes, webhooks, pages, ...health }: HttpContents): Promise<void> => {
      calls = webhooks
      if (settings.ROLE !== 'worker') {
        await http.register(async (api) => routes.forEach((register) => void register(api)), { prefix: '/api/v1' })
        for (const register of pages) register(http)
        await registerDocs(http, settings.publicUrl)
        await registerWebApp(http, settings.publicUrl)
      }
      registerHealth(http, { version, environment: settings.NODE_ENV, ...health })
      await http.ready()
    },
  }
}
