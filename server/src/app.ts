import { readFileSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'
import { createCallbackModule } from './callbacks/module.ts'
import type { Config } from './config.ts'
import { type ConsultationModule, createConsultationModule } from './consultations/module.ts'
import { openPools } from './database.ts'
import { createDeliveryModule } from './deliveries/module.ts'
import { createEventModule, type EventModule } from './events/module.ts'
import type { Report } from './facts/fact.ts'
import { registerDocs } from './http/docs.ts'
import { registerHealth } from './http/health.ts'
import { createHttpModule } from './http/module.ts'
import type { Passwords } from './identity/accounts/passwords.ts'
import type { Guard } from './identity/guard.ts'
import { createIdentityModule, type IdentityModule } from './identity/module.ts'
import type { SigningKeys } from './identity/signing-keys/service.ts'
import { type Clock, systemClock } from './platform/clock.ts'
import { applicationRole } from './platform/database/application-role.ts'
import type { Connection, Db, DbOptions } from './platform/database/db.ts'
import type { Logger } from './platform/log.ts'
import type { BackgroundWork } from './platform/loop.ts'
import { createMail } from './platform/mail.ts'
import type { SealedColumn } from './platform/secrets/envelope-columns.ts'
import type { RewrapOptions, RewrapReport } from './platform/secrets/envelope-rewrap.ts'
import { createSecrets } from './secrets.ts'

export const version = '0.1.0'

export interface AppOptions {
  readonly config: Config
  readonly secretKey: string
  readonly connection: Connection
  /** The role that statements run as (platform/database/application-role.ts); null: the role of the connection. */
  readonly role?: string | null
  readonly log: Logger
  readonly clock?: Clock
  readonly passwords?: Passwords
  /** Lets tests put something in front of the database. */
  readonly openDb?: (options: DbOptions) => Db
}

export interface App {
  readonly http: FastifyInstance
  readonly db: Db
  readonly identity: IdentityModule
  readonly signingKeys: SigningKeys
  readonly consultations: ConsultationModule
  readonly audit: EventModule
  /** Re-encrypts every stored secret under the current keys, while services run. */
  rewrap(options?: RewrapOptions): Promise<RewrapReport>
  /** Starts the background work; without it the app only serves calls. */
  startWorkers(): void
  /** Does all background work that is due; for tests. */
  drain(): Promise<void>
  /** Finishes calls and deliveries under way, releases the rest to other processes, closes everything. */
  stop(): Promise<void>
}

/** What `createApp` folds of every module. */
interface Module {
  readonly loops: readonly BackgroundWork[]
  /** Every column of the module's tables that holds sealed values: one that is missing here keeps its old key when keys change. */
  readonly sealedColumns?: readonly SealedColumn[]
  /** Routes under `/api/v1`. */
  routes?(api: FastifyInstance, guard: Guard): void
  /** Routes at the root. */
  pages?(http: FastifyInstance): void
}

/** The composition root: the only place where modules are connected. */
export async function createApp({ config, secretKey, connection, log, ...options }: AppOptions): Promise<App> {
  const clock = options.clock ?? systemClock
  const delivers = config.ROLE !== 'api'
  const { role = applicationRole, openDb: open } = options
  const { db, workerDb } = openPools({ config, connection, role, log, open })
  const report: Report = (tx, facts) => events.append(tx, facts)
  const secrets = createSecrets({ db, clock, log, config, secretKey, report })
  const { sealer, secretKeys } = secrets
  const mail = openMail(config, log)

  // What every module is given. Where two need each other, the later one is reached through a function.
  const ground = { db, workerDb, clock, log, settings: config }
  const deliveries = createDeliveryModule({ ...ground, connection, delivers })
  const callbacks = createCallbackModule({
    ...ground,
    deliveries,
    secretOf: ({ organizationId, subjectId, secret }) =>
      secret === null ? null : consultations.openCallbackSecret(organizationId, subjectId, secret),
    lockRequests: (tx, requests) => consultations.lockForCallbacks(tx, requests),
    requireVisible: (principal, id) => consultations.read(principal, id),
  })
  const events = createEventModule({
    ...ground,
    readers: [callbacks.enqueue],
    sign: (payload, typ) => identity.signingKeys.sign('audit_head', payload, { typ }),
    requireVisible: (principal, id) => consultations.read(principal, id),
    evidence: {
      request: (principal, id) => consultations.evidenceOf(principal, id),
      deliveries: callbacks.evidenceOf,
      keys: () => identity.signingKeys.keySet(),
    },
  })
  const identity = createIdentityModule({
    ...ground,
    secretKey,
    sealer,
    mail,
    passwords: options.passwords,
    auditAtTheEnd: events,
    report,
  })
  const consultations = createConsultationModule({
    ...ground,
    events,
    sealer,
    signingKeys: identity.signingKeys,
    refusalOf: (by) => identity.agentKeys.refusalOf(by.principal, by),
    refuseTarget: callbacks.refuseTarget,
  })
  const modules: readonly Module[] = [consultations, callbacks, deliveries, events, identity]

  let stopping = false
  let stopped: Promise<void> | null = null
  const { http, limits } = await createHttpModule({ db, log, secretKeys, settings: config, version })
  events.noteRefusedCalls(http)
  const guard = identity.createGuard(http, limits)
  if (config.ROLE !== 'worker') {
    await http.register(
      async (api) => {
        for (const { routes } of modules) routes?.(api, guard)
      },
      { prefix: '/api/v1' },
    )
    for (const { pages } of modules) pages?.(http)
    await registerDocs(http)
  }
  registerHealth(http, { version, environment: config.NODE_ENV, ping: workerDb.ping, stopping: () => stopping })
  await http.ready()

  const loops = modules.flatMap((module) => module.loops)
  return {
    http,
    db,
    identity,
    signingKeys: identity.signingKeys,
    consultations,
    audit: events,
    rewrap: (rewrapOptions) => {
      const columns = modules.flatMap(({ sealedColumns = [] }) => sealedColumns)
      return secrets.rewrap(columns, identity.organizationIds, rewrapOptions)
    },
    startWorkers: () => {
      if (delivers) for (const loop of loops) loop.start()
    },
    drain: async () => {
      // Acts that fall due may create deliveries, and both append events: those are sealed last.
      for (const { loops } of [consultations, identity, deliveries]) for (const loop of loops) await loop.drain()
      await events.drain()
    },
    stop: () => {
      stopped ??= (async () => {
        stopping = true
        // All at once, so that they share one grace period: nothing new is claimed while the last calls finish.
        const graceMs = config.SHUTDOWN_GRACE_SECONDS * 1_000
        await Promise.all([http.close(), ...loops.map((loop) => loop.stop(graceMs))])
        await identity.close()
        // After the last calls and deliveries, so that their refusals are still written.
        await events.close()
        await mail?.close(Math.min(graceMs, 5_000))
        await Promise.all([db.close(), workerDb.close()])
      })()
      return stopped
    },
  }
}

function openMail({ SMTP_URL: relay, MAIL_FROM: from, SMTP_CA }: Config, log: Logger) {
  if (relay === null || from === null) return null
  return createMail({ relay, from, ca: SMTP_CA === null ? null : readFileSync(SMTP_CA, 'utf8'), log })
}
