import { readFileSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'
import { callbackRules } from './callbacks/callback.ts'
import { deliveryJson, registerCallbackRoutes } from './callbacks/routes.ts'
import { createCallbacks } from './callbacks/service.ts'
import { channel } from './callbacks/store.ts'
import { createDeliveryWorker } from './callbacks/worker.ts'
import type { Config } from './config.ts'
import { createCertifier, createRevocationCheck } from './consultations/certificate.ts'
import { registerCertificateRoutes } from './consultations/certificate-routes.ts'
import { requestJson } from './consultations/representation.ts'
import { registerConsultationRoutes } from './consultations/routes.ts'
import { type Consultations, createConsultations, secretPlace } from './consultations/service.ts'
import { createExpiryWorker } from './consultations/worker.ts'
import { type Audit, createAudit } from './events/audit.ts'
import { registerRefusedCalls } from './events/refused-calls.ts'
import { createEvents } from './events/service.ts'
import { bySystem, factBy } from './facts/fact.ts'
import { registerDocs } from './http/docs.ts'
import { registerHealth } from './http/health.ts'
import { registerIdempotency } from './http/idempotency.ts'
import { registerOpenApi } from './http/openapi.ts'
import { createRateLimits, registerStrangers } from './http/rate-limits.ts'
import { createHttpServer } from './http/server.ts'
import type { Passwords } from './identity/accounts/passwords.ts'
import { createExpiryWarnings } from './identity/api-keys/expiry-warnings.ts'
import { registerKeyFormat } from './identity/api-keys/leaked-key-routes.ts'
import { createFactorSweeper } from './identity/factors/worker.ts'
import { createGuard } from './identity/guard.ts'
import { organizationIds } from './identity/organizations/store.ts'
import { createDeletionWorker } from './identity/organizations/worker.ts'
import { callerKind } from './identity/principal.ts'
import { registerAccountPages } from './identity/recovery/account-pages.ts'
import { registerSetupPage } from './identity/registration/setup-page.ts'
import { registerIdentityRoutes } from './identity/routes.ts'
import { createIdentity, type Identity } from './identity/service.ts'
import { createSessionSweeper } from './identity/sessions/worker.ts'
import { registerKeySet } from './identity/signing-keys/routes.ts'
import { createSigningKeys, type SigningKeys } from './identity/signing-keys/service.ts'
import { createProviderHttp } from './identity/sso/provider-http.ts'
import { createTargetRefusal } from './outbound/target-guard.ts'
import { createTransport, type Transport } from './outbound/transport.ts'
import { type Clock, systemClock } from './platform/clock.ts'
import { applicationRole } from './platform/database/application-role.ts'
import { type Connection, type Db, type DbOptions, openDb } from './platform/database/db.ts'
import { listen } from './platform/database/listen.ts'
import { installationId } from './platform/ids.ts'
import type { Logger } from './platform/log.ts'
import { createMail } from './platform/mail.ts'
import { createEnvelope, type ReportKeyChange } from './platform/secrets/envelope.ts'
import type { SealedColumn } from './platform/secrets/envelope-columns.ts'
import { type RewrapOptions, type RewrapReport, rewrap } from './platform/secrets/envelope-rewrap.ts'
import { createKeyRing } from './platform/secrets/key-encryption.ts'

export const version = '0.1.0'

export interface AppOptions {
  readonly config: Config
  readonly secretKey: string
  readonly connection: Connection
  /** The role whose rights the statements have (platform/database/application-role.ts); null: that of the connection. */
  readonly role?: string | null
  readonly log: Logger
  readonly clock?: Clock
  readonly passwords?: Passwords
  /** Tests put something in front of the database. */
  readonly openDb?: (options: DbOptions) => Db
}

export interface App {
  readonly http: FastifyInstance
  readonly db: Db
  readonly identity: Identity
  readonly consultations: Consultations
  readonly signingKeys: SigningKeys
  readonly audit: Audit
  /** Brings every stored secret under the current keys, while services run. */
  rewrap(options?: RewrapOptions): Promise<RewrapReport>
  /** Begins the background work; without it the app answers calls only. */
  startWorkers(): void
  /** Times out what is due and delivers every due callback; for tests. */
  drain(): Promise<void>
  /** Ends calls and deliveries under way, gives the rest back, closes everything. */
  stop(): Promise<void>
}

/** Every column that holds sealed values: what is not named here is left behind when keys change. */
const sealedColumns: readonly SealedColumn[] = [
  { table: 'consultation_requests', column: 'callback_secret' },
  {
    table: 'callback_outbox',
    column: 'secret',
    copyOf: { table: 'consultation_requests', column: 'callback_secret', row: 'consultation_id' },
  },
  { table: 'signing_keys', column: 'private_key', of: 'installation' },
  { table: 'identity_providers', column: 'client_secret' },
  { table: 'totp_factors', column: 'seed', of: 'accounts' },
  { table: 'sso_flows', column: 'secrets' },
]

/** The composition root: who knows whom is decided here and nowhere else. */
export async function createApp({ config, secretKey, connection, log, ...options }: AppOptions): Promise<App> {
  const clock = options.clock ?? systemClock
  const delivers = config.ROLE !== 'api'
  const openPool = (poolSize: number) =>
    (options.openDb ?? openDb)({
      connection,
      role: options.role === undefined ? applicationRole : options.role,
      poolSize,
      prepare: config.DATABASE_PREPARE,
      statementTimeoutMs: config.DATABASE_STATEMENT_SECONDS * 1_000,
      onError: (error) => log.warn({ err: error }, 'a database connection was lost'),
    })
  // Connections of their own for the workers: a flood of calls must not keep them from their leases and deadlines.
  const workerConnections = delivers ? Math.max(1, Math.floor(config.DATABASE_POOL * 0.4)) : 1
  const db = openPool(Math.max(1, config.DATABASE_POOL - workerConnections))
  const workerDb = openPool(workerConnections)
  const previousSecretKey = config.SECRET_KEY_PREVIOUS
  const secretKeys = previousSecretKey === null ? [secretKey] : [secretKey, previousSecretKey]
  const keyRing = createKeyRing({ configured: config.KEY_ENCRYPTION_KEYS, secretKey, previousSecretKey })
  const reportKeys: ReportKeyChange = (tx, { organizationId, kind, ...change }) => {
    const about = ['organization', organizationId] as const
    return report(tx, [factBy(bySystem(organizationId), kind, about, { ...change, occurredAt: clock.now() })])
  }
  const sealer = createEnvelope({ db, keyRing, report: reportKeys })
  const rules = callbackRules(config.CALLBACK_ALLOW)
  const posting = { timeoutMs: config.CALLBACK_TIMEOUT_SECONDS * 1_000, now: () => clock.now().getTime() }
  const transport = createTransport({ rules, ...posting })
  const headsTransport = createTransport({ rules: { ...rules, what: 'audit heads' }, ...posting })
  const mail =
    config.SMTP_URL === null || config.MAIL_FROM === null
      ? null
      : createMail({
          relay: config.SMTP_URL,
          from: config.MAIL_FROM,
          ca: config.SMTP_CA === null ? null : readFileSync(config.SMTP_CA, 'utf8'),
          log,
        })
  const providerHttp = createProviderHttp({
    allow: config.SSO_ALLOW,
    ca: config.SSO_CA === null ? null : readFileSync(config.SSO_CA, 'utf8'),
  })

  const delivery = createDeliveryWorker({
    db: workerDb,
    clock,
    transport,
    log,
    secretOf: (lease) =>
      lease.secret === null ? null : sealer.open(lease.secret, secretPlace(lease.organizationId, lease.consultationId)),
    holdSubjects: (tx, subjects) => consultations.holdForCallbacks(tx, subjects),
  })
  const callbacks = createCallbacks({
    db,
    clock,
    retrySeconds: config.CALLBACK_RETRY_SECONDS,
    worker: delivers ? delivery : null,
  })
  const events = createEvents([callbacks.enqueue])
  const report = events.append
  const signsTokens = config.ACCESS_TOKEN_ALGORITHM === 'EdDSA'
  const inUse = ['certificate', 'audit_head', ...(signsTokens ? (['access_token'] as const) : [])] as const
  const signingKeys = createSigningKeys({ db, clock, sealer, inUse, report })
  const audit = createAudit({
    db,
    workerDb,
    clock,
    log,
    report,
    sign: (payload, typ) => signingKeys.sign('audit_head', payload, { typ }),
    headsFile: config.AUDIT_HEADS_FILE,
    headsUrl: config.AUDIT_HEADS_URL,
    post: (url, body) => postHeads(headsTransport, url, body),
  })
  const certifier = createCertifier({ signingKeys, issuer: config.publicUrl, hours: config.CERTIFICATE_HOURS })
  const consultations = createConsultations({
    db,
    workerDb,
    clock,
    events,
    sealer,
    certifier,
    revocations: createRevocationCheck(signingKeys),
    refusalOf: (by) => identity.agentKeys.refusalOf(by.principal, by),
  })

  const identity = createIdentity({
    db,
    clock,
    secretKey,
    sealer,
    log,
    mail,
    providerFetch: providerHttp.fetch,
    publicUrl: config.publicUrl,
    production: config.production,
    accessTokenMinutes: config.ACCESS_TOKEN_EXPIRE_MINUTES,
    sessionIdleMinutes: config.SESSION_IDLE_MINUTES,
    sessionMaxMinutes: config.SESSION_MAX_MINUTES,
    stepUpFreshMinutes: config.STEP_UP_FRESH_MINUTES,
    accessTokens: { previousSecretKey, signingKeys: signsTokens ? signingKeys : null },
    registration: config.REGISTRATION,
    passwords: options.passwords,
    auditAtTheEnd: audit,
    report,
  })
  const { authenticator } = identity
  const loops = [
    createExpiryWorker(consultations, log),
    createExpiryWarnings({ db: workerDb, clock, log, report }),
    createFactorSweeper(identity.factors, log),
    createSessionSweeper(identity.sessions, log),
    createDeletionWorker(identity.organizationDeletion, log),
  ]

  let stopping = false
  let stopped: Promise<void> | null = null
  const http = await createHttpServer({
    log,
    bodyLimitBytes: config.BODY_LIMIT_BYTES,
    requestTimeoutMs: config.REQUEST_TIMEOUT_SECONDS * 1_000,
    stopGraceMs: config.SHUTDOWN_GRACE_SECONDS * 1_000,
    corsOrigins: config.CORS_ORIGINS,
    publicUrl: config.publicUrl,
    trustedProxies: config.TRUSTED_PROXIES,
  })
  await registerOpenApi(http, version)
  registerIdempotency(http, secretKeys)
  const limits = createRateLimits(db, secretKey, {
    key: config.RATE_LIMIT_KEY,
    person: config.RATE_LIMIT_PERSON,
    address: config.RATE_LIMIT_ADDRESS,
  })
  registerStrangers(http, limits)
  registerRefusedCalls(http, audit.refusedCalls)
  const guard = createGuard(http, authenticator, limits)
  const answers = config.ROLE !== 'worker'
  if (answers) {
    await http.register(
      async (api) => {
        registerConsultationRoutes(api, { consultations, guard, clock, refuseTarget: createTargetRefusal(rules) })
        registerCertificateRoutes(api, { consultations, guard, clock })
        registerCallbackRoutes(api, { callbacks, guard, requireVisible: consultations.read })
        audit.registerRoutes(api, {
          guard,
          requireVisible: consultations.read,
          stalledAfterMs: config.REQUEST_TIMEOUT_SECONDS * 1_000,
          evidence: {
            request: async (principal, id) => {
              const found = await consultations.read(principal, id)
              const json = requestJson(found, callerKind(principal), clock.now())
              return { json, certificate: found.certificate }
            },
            deliveries: async ({ organizationId }, id) =>
              (await callbacks.deliveries(organizationId, id)).map(deliveryJson),
            keys: signingKeys.keySet,
          },
        })
        registerIdentityRoutes(api, {
          identity,
          guard,
          clock,
          publicUrl: config.publicUrl,
        })
      },
      { prefix: '/api/v1' },
    )
    registerKeySet(http, signingKeys)
    registerKeyFormat(http, config.publicUrl)
    registerSetupPage(http)
    registerAccountPages(http)
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
    signingKeys,
    audit,
    rewrap: (rewrapOptions) =>
      rewrap(
        {
          db,
          keyRing,
          envelope: sealer,
          columns: sealedColumns,
          organizationIds: () => organizationIds(db.within({ worker: true })),
          log,
          report: reportKeys,
        },
        rewrapOptions,
      ),
    startWorkers: () => {
      if (!delivers) return
      delivery.start()
      audit.start()
      for (const loop of loops) loop.start()
      hints = listen(connection, channel, log, delivery.wake)
    },
    drain: async () => {
      for (const loop of loops) await loop.drain()
      await delivery.drain()
      await audit.drain()
    },
    stop: () => {
      stopped ??= (async () => {
        stopping = true
        // All at once, so that the grace is one and not a sum: nothing new is claimed while the last calls are answered.
        const graceMs = config.SHUTDOWN_GRACE_SECONDS * 1_000
        await Promise.all([hints?.stop(), ...loops.map((loop) => loop.stop()), http.close(), delivery.stop(graceMs)])
        await authenticator.close()
        // Behind the last calls and deliveries: their refusals are to be written still.
        await audit.stop()
        await identity.passwordChanges.drain()
        await mail?.close(Math.min(graceMs, 5_000))
        await Promise.all([providerHttp.close(), headsTransport.close()])
        await Promise.all([db.close(), workerDb.close()])
      })()
      return stopped
    },
  }
}

/** Null when the heads have arrived, else why not. */
async function postHeads(transport: Transport, url: string, body: string): Promise<string | null> {
  const headers = { 'content-type': 'application/json' }
  const { status, error } = await transport.post({ owner: installationId, url, headers, body })
  if (error !== null) return error.message
  return status !== null && status >= 200 && status < 300 ? null : `it was answered ${status}`
}
