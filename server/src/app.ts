import type { FastifyInstance } from 'fastify'
import { registerCallbackRoutes } from './callbacks/routes.ts'
import { createCallbacks } from './callbacks/service.ts'
import { channel } from './callbacks/store.ts'
import { checkTarget, parseAllowList } from './callbacks/target-guard.ts'
import { createTransport, type Transport } from './callbacks/transport.ts'
import { createDeliveryWorker } from './callbacks/worker.ts'
import type { Config } from './config.ts'
import { registerConsultationRoutes } from './consultations/routes.ts'
import { type Consultations, createConsultations, secretContext } from './consultations/service.ts'
import { createExpiryWorker } from './consultations/worker.ts'
import { createEvents } from './events/service.ts'
import { registerDocs } from './http/docs.ts'
import { registerHealth } from './http/health.ts'
import { registerOpenApi } from './http/openapi.ts'
import { createHttpServer } from './http/server.ts'
import { createAccessTokens } from './identity/access-token.ts'
import { createAuthenticator } from './identity/authenticate.ts'
import { createGuard } from './identity/guard.ts'
import { createPasswords } from './identity/passwords.ts'
import { registerIdentityRoutes } from './identity/routes.ts'
import { createIdentity, type Identity } from './identity/service.ts'
import { registerSetupPage } from './identity/setup-page.ts'
import { type Clock, systemClock } from './platform/clock.ts'
import { type Connection, type Db, openDb } from './platform/db.ts'
import { newId } from './platform/ids.ts'
import { listen } from './platform/listen.ts'
import type { Logger } from './platform/log.ts'
import { createSealer } from './platform/sealed-text.ts'

export const version = '0.1.0'

export interface AppOptions {
  readonly config: Config
  readonly secretKey: string
  readonly connection: Connection
  readonly log: Logger
  readonly clock?: Clock
  readonly transport?: Transport
}

export interface App {
  readonly http: FastifyInstance
  readonly db: Db
  readonly identity: Identity
  readonly consultations: Consultations
  /** Begins the background work; without it the app answers calls only. */
  startWorkers(): void
  /** Times out what is due and delivers every due callback; for tests. */
  drain(): Promise<void>
  /** Ends calls and deliveries under way, gives the rest back, closes everything. */
  stop(): Promise<void>
}

/** The composition root: who knows whom is decided here and nowhere else. */
export async function createApp({ config, secretKey, connection, log, ...options }: AppOptions): Promise<App> {
  const clock = options.clock ?? systemClock
  const delivers = config.ROLE !== 'api'
  const openPool = (poolSize: number) =>
    openDb({
      connection,
      poolSize,
      prepare: config.DATABASE_PREPARE,
      statementTimeoutMs: config.DATABASE_STATEMENT_SECONDS * 1_000,
      onError: (error) => log.warn({ err: error }, 'a database connection was lost'),
    })
  // Connections of their own for the workers: a flood of calls must not keep them from their leases and deadlines.
  const workerConnections = delivers ? Math.max(1, Math.floor(config.DATABASE_POOL * 0.4)) : 1
  const db = openPool(Math.max(1, config.DATABASE_POOL - workerConnections))
  const workerDb = openPool(workerConnections)
  const sealer = createSealer(secretKey)
  const allow = parseAllowList(config.CALLBACK_ALLOW)
  const transport =
    options.transport ??
    createTransport({ allow, timeoutMs: config.CALLBACK_TIMEOUT_SECONDS * 1_000, now: () => clock.now().getTime() })

  const delivery = createDeliveryWorker({
    db: workerDb,
    clock,
    transport,
    log,
    secretOf: (lease) =>
      lease.secret === null
        ? null
        : sealer.open(lease.secret, secretContext(lease.organizationId, lease.consultationId)),
    holdSubjects: (tx, subjects) => consultations.holdForCallbacks(tx, subjects),
  })
  const callbacks = createCallbacks({
    db,
    clock,
    retrySeconds: config.CALLBACK_RETRY_SECONDS,
    worker: delivers ? delivery : null,
  })
  const events = createEvents([callbacks.enqueue])
  const consultations = createConsultations({ db, workerDb, clock, events, sealer })
  const expiry = createExpiryWorker(consultations, log)

  const tokens = createAccessTokens(secretKey, config.ACCESS_TOKEN_EXPIRE_MINUTES)
  const authenticator = createAuthenticator(db, tokens, clock)
  const identity = createIdentity({
    db,
    clock,
    tokens,
    secretKey,
    passwords: createPasswords(),
    registration: config.REGISTRATION,
    report: (tx, facts) =>
      events.append(
        tx,
        facts.map((fact) => ({ ...fact, id: newId() })),
      ),
    forget: authenticator.forget,
  })

  let stopping = false
  let stopped: Promise<void> | null = null
  const http = await createHttpServer({
    log,
    bodyLimitBytes: config.BODY_LIMIT_BYTES,
    requestTimeoutMs: config.REQUEST_TIMEOUT_SECONDS * 1_000,
    stopGraceMs: config.SHUTDOWN_GRACE_SECONDS * 1_000,
    corsOrigins: config.CORS_ORIGINS,
    trustedProxies: config.TRUSTED_PROXIES,
  })
  await registerOpenApi(http, version)
  const guard = createGuard(http, authenticator)
  const answers = config.ROLE !== 'worker'
  if (answers) {
    await http.register(
      async (api) => {
        registerConsultationRoutes(api, { consultations, guard, clock, refuseTarget: (url) => refusal(url, allow) })
        registerCallbackRoutes(api, { callbacks, guard, requireVisible: consultations.read })
        registerIdentityRoutes(api, { identity, guard, publicUrl: config.publicUrl })
      },
      { prefix: '/api/v1' },
    )
    registerSetupPage(http)
    await registerDocs(http)
  }
  registerHealth(http, { version, environment: config.NODE_ENV, ping: workerDb.ping, stopping: () => stopping })
  await http.ready()

  let hints: ReturnType<typeof listen> | null = null
  return {
    http,
    db,
    identity,
    consultations,
    startWorkers: () => {
      if (!delivers) return
      delivery.start()
      expiry.start()
      hints = listen(connection, channel, log, delivery.wake)
    },
    drain: async () => {
      await expiry.drain()
      await delivery.drain()
    },
    stop: () => {
      stopped ??= (async () => {
        stopping = true
        // All at once, so that the grace is one and not a sum: nothing new is claimed while the last calls are answered.
        const graceMs = config.SHUTDOWN_GRACE_SECONDS * 1_000
        await Promise.all([hints?.stop(), expiry.stop(), http.close(), delivery.stop(graceMs)])
        await authenticator.close()
        await Promise.all([db.close(), workerDb.close()])
      })()
      return stopped
    },
  }
}

function refusal(url: string, allow: ReturnType<typeof parseAllowList>): string | null {
  const verdict = checkTarget(url, allow)
  return verdict.ok ? null : verdict.reason
}
