import type { FastifyInstance } from 'fastify'
import { filesForAnswers } from './attachments/for-answers.ts'
import { createAttachmentModule } from './attachments/module.ts'
import { createCallbackModule } from './callbacks/module.ts'
import {
  alreadyCancelled,
  alreadyResponded,
  alreadyTimeout,
  notFound as requestNotFound,
  stillOpen,
} from './consultations/consultation.ts'
import type { RequestChange } from './consultations/facts.ts'
import { createConsultationModule, showRefusals } from './consultations/module.ts'
import { requestExample, requestSchema } from './consultations/schemas.ts'
import { openPools, type PoolOptions } from './database.ts'
import { createDeliveryModule } from './deliveries/module.ts'
import { createEventModule } from './events/module.ts'
import type { Report } from './facts/fact.ts'
import { createHttpModule } from './http/module.ts'
import type { Webhooks } from './http/openapi-document.ts'
import type { Deferral } from './identity/accounts/deferred-work.ts'
import type { Passwords } from './identity/accounts/passwords.ts'
import type { Guard } from './identity/guard.ts'
import { createIdentityModule } from './identity/module.ts'
import { createInboxModule } from './inbox/module.ts'
import { forgetClosed } from './inbox/service.ts'
import { createLetterModule } from './letters/module.ts'
import { createMetricsModule } from './metrics/module.ts'
import { type Clock, systemClock } from './platform/clock.ts'
import { watchClock } from './platform/database/clock-watch.ts'
import { createHints } from './platform/database/listen.ts'
import { type ReadSpace, watchFreeSpace } from './platform/free-space.ts'
import type { BackgroundWork } from './platform/loop.ts'
import type { SealedColumn } from './platform/secrets/envelope-columns.ts'
import type { RewrapOptions } from './platform/secrets/envelope-rewrap.ts'
import { createRealtimeModule } from './realtime/module.ts'
import { createHold } from './restored/hold.ts'
import { createSecrets } from './secrets.ts'
import { createTraceModule } from './traces/module.ts'
import { version } from './version.ts'

export interface AppOptions extends PoolOptions {
  readonly secretKey: string
  readonly clock?: Clock
  readonly passwords?: Passwords
  readonly deferral?: Deferral
  /** Where the database is embedded: its free space is watched. */
  readonly dataDir?: string | null
  readonly readSpace?: ReadSpace
}

export type App = Awaited<ReturnType<typeof createApp>>

/** What `createApp` folds of every module. */
interface Module {
  readonly loops?: readonly BackgroundWork[]
  /** Every column of the module's tables that holds sealed values: one that is missing here keeps its old key when keys change. */
  readonly sealedColumns?: readonly SealedColumn[]
  /** Routes under `/api/v1`. */
  routes?(api: FastifyInstance, guard: Guard): void
  /** Calls that the module makes to addresses that its users gave. */
  readonly webhooks?: Webhooks
  /** Routes at the root. */
  readonly pages?: readonly ((http: FastifyInstance) => void)[]
}

/** The composition root: the only place where modules are connected. */
export async function createApp(options: AppOptions) {
  const { config, secretKey, connection, log, clock = systemClock } = options
  const { db, workerDb, watch } = openPools(options)
  const report: Report = (tx, facts) => events.append(tx, facts)
  const secrets = createSecrets({ db, clock, log, config, secretKey, report })

  // What every module is given. Where two need each other, the later one is reached through a function.
  const ground = { db, workerDb, clock, log, settings: config }
  const restored = createHold({ db: workerDb, clock, log, report })
  const letters = createLetterModule({ ...ground, sealer: secrets.sealer, report, hold: restored })
  const hints = createHints(connection, log)
  const metrics = createMetricsModule({
    ...ground,
    version,
    standing: () => ({
      pools: { calls: db.connections(), workers: workerDb.connections() },
      deliveries: deliveries.standing(),
      freeBytes: space?.found()?.freeBytes ?? null,
      checks: { audit: events.isIntact(), secrets: secrets.hasEveryKey(), sending: restored.held() === null },
      searchedUntil: consultations.searchFilling.filledUntil(),
    }),
  })
  const traces = await createTraceModule({ log, settings: config, version })
  const { onAttempt } = metrics
  const deliveries = createDeliveryModule({ ...ground, hints, report, hold: restored, onAttempt })
  const callbacks = createCallbackModule({
    ...ground,
    secretKeys: secrets.secretKeys,
    deliveries,
    secretOf: ({ organizationId, subjectId, secret }) =>
      secret === null ? null : consultations.openCallbackSecret(organizationId, subjectId, secret),
    requestOf: ({ organizationId, subjectId }) => consultations.find({ organizationId, id: subjectId }),
    recordOutcomes: (tx, requests) => consultations.recordCallbacks(tx, requests),
    requireVisible: (principal, id) => consultations.read(principal, id),
    requestNotFound,
    redeliver: (by, id, callbackId) => consultations.redeliverIfSettled(by, id, callbackId),
    traced: traces.attempt,
  })
  const realtime = createRealtimeModule({
    ...ground,
    hints,
    hasOthers: () => consultations.hasOtherProcesses(),
    show: async (by, id) => {
      const { request, json } = await consultations.shown(by, id)
      return {
        isPending: request.state === 'pending',
        revision: request.revision,
        json,
        events: () => callbacks.eventsOf(request),
      }
    },
    source: {
      newestChange: () => consultations.newestChange(),
      settledUntil: () => consultations.settledUntil(),
      changesAfter: (organizationId, after, until, most) =>
        consultations.changesAfter(organizationId, after, until, most),
      changedOrganizations: (since) => consultations.changedOrganizations(since),
      counts: (organizationId, userIds) => consultations.countsOf(organizationId, userIds),
    },
    showRefusals,
    requestExample,
    requestSchema,
  })
  const events = createEventModule<RequestChange>({
    ...ground,
    readers: [callbacks.enqueue, forgetClosed, realtime.announce, metrics.count, traces.note],
    signer: {
      sign: (payload, typ) => identity.signingKeys.sign('audit_head', payload, { typ }),
      verify: (jws, typ) => identity.signingKeys.verify('audit_head', jws, { typ }),
    },
    requireVisible: (principal, id) => consultations.read(principal, id),
    requestNotFound,
    stillOpen,
    rows: {
      eraseRequest: async (tx, organizationId, id) => {
        await consultations.eraseRequest(tx, { organizationId, id })
        await callbacks.erase(tx, organizationId, id)
        await attachments.erase(tx, organizationId, id)
      },
      eraseComments: async (...comments) => {
        await consultations.eraseComments(...comments)
        await attachments.eraseOf(...comments)
      },
      erasePerson: (tx, organizationId, userId) => inbox.erasePerson(tx, organizationId, userId),
      forgetReplies: (tx, organizationId) => identity.keptReplies.forget(tx, organizationId),
    },
    evidence: {
      request: (principal, id) => consultations.evidenceOf(principal, id),
      deliveries: callbacks.evidenceOf,
      keys: () => identity.signingKeys.everyKey(['certificate', 'audit_head']),
      names: (organizationId, ids) => identity.namesOf(organizationId, ids),
    },
  })
  const identity = createIdentityModule({
    ...ground,
    secretKey,
    sealer: secrets.sealer,
    letters: letters.letters,
    passwords: options.passwords,
    deferral: options.deferral,
    auditAtTheEnd: events,
    report,
  })
  const consultations = createConsultationModule({
    ...ground,
    events,
    sealer: secrets.sealer,
    signingKeys: identity.signingKeys,
    refusalOf: (by) => identity.agentKeys.refusalOf(by.principal, by),
    refuseTarget: callbacks.refuseTarget,
    refuseSecret: callbacks.refuseSecret,
    answerFiles: filesForAnswers,
  })
  const attachments = createAttachmentModule({
    ...ground,
    report,
    hold: restored,
    requests: {
      requireOpen: (principal, id) => consultations.requireOpen(principal, id),
      requireVisible: (principal, id) => consultations.requireVisible(principal, id),
      lockOpen: (tx, by, id) => consultations.lockOpen(tx, by, id),
      notFound: requestNotFound,
      closed: [alreadyResponded, alreadyTimeout, alreadyCancelled],
    },
  })
  const inbox = createInboxModule({
    ...ground,
    countsChanged: (organizationId) => realtime.countsChanged(organizationId),
    requests: {
      requireOpen: (principal, id) => consultations.requireOpen(principal, id),
      requireVisible: (principal, id) => consultations.read(principal, id),
      notFound: requestNotFound,
      closed: [alreadyResponded, alreadyTimeout, alreadyCancelled],
      requireQuery: (principal, query) => void consultations.queryOf(principal, query),
      count: (principal, query) => consultations.countOf(principal, query),
    },
  })
  const modules: readonly Module[] = [
    restored,
    attachments,
    inbox,
    consultations,
    callbacks,
    realtime,
    deliveries,
    events,
    identity,
    letters,
  ]
  let stopped: Promise<void> | null = null
  const clockWatch = watchClock(workerDb, clock, log)
  const { dataDir = null } = options
  const leastFree = config.DATA_DIR_FREE_MEBIBYTES * 1_048_576
  const space = dataDir === null ? null : watchFreeSpace(dataDir, leastFree, log, options.readSpace)
  const watches = [clockWatch, ...(space === null ? [] : [space])]
  const web = await createHttpModule({ db, log, secretKeys: secrets.secretKeys, settings: config, version })
  events.noteRefusedCalls(web.http)
  metrics.serve(web.http, web.limits)
  traces.serve(web.http)
  const guard = identity.createGuard(web.http, web.limits)
  await web.open({
    routes: modules.map((module) => (api) => module.routes?.(api, guard)),
    webhooks: Object.assign({}, ...modules.map(({ webhooks }) => webhooks)),
    pages: modules.flatMap(({ pages = [] }) => pages),
    database: watch.look,
    auditIsIntact: events.isIntact,
    sealsHeldBackSeconds: events.heldBackSeconds,
    hasEveryKey: secrets.hasEveryKey,
    clockSecondsAhead: clockWatch.secondsAhead,
    freeSpace: () => space?.found() ?? null,
    held: restored.held,
    stopping: () => stopped !== null,
  })

  const loops = modules.flatMap(({ loops = [] }) => loops)
  const columns = modules.flatMap(({ sealedColumns = [] }) => sealedColumns)
  return {
    http: web.http,
    db,
    identity,
    consultations,
    attachments,
    audit: events,
    realtime,
    letters,
    restored,
    /** Serves the metrics where they have a port of their own. */
    listenForMetrics: metrics.listen,
    /** A mistake for each key that the settings lack and the database needs. */
    missingKeys: secrets.missingKeys,
    /** One if the database is used with another SECRET_KEY. */
    secretKeyMistakes: secrets.secretKeyMistakes,
    /** From now on this SECRET_KEY counts. */
    noteSecretKey: secrets.noteSecretKey,
    /** Re-encrypts every stored secret under the current keys, while services run. */
    rewrap: (rewrapOptions?: RewrapOptions) => secrets.rewrap(columns, identity.organizationIds, rewrapOptions),
    /** Starts the background work; without it the app only serves calls. */
    startWorkers: (): void => {
      for (const one of [...watches, ...metrics.loops]) one.start()
      if (config.ROLE === 'api') {
        events.watch()
        for (const loop of realtime.loops) loop.start()
      } else for (const loop of loops) loop.start()
    },
    /** Does all background work that is due; for tests. */
    drain: async (): Promise<void> => {
      // Acts that fall due may create deliveries, and both append events: those are sealed last.
      for (const loop of [restored, consultations, identity, attachments, inbox, deliveries, letters, realtime].flatMap(
        ({ loops }) => loops,
      ))
        await loop.drain()
      await events.drain()
      for (const loop of metrics.loops) await loop.drain()
    },
    /** Finishes calls and deliveries under way, releases the rest to other processes, closes everything. */
    stop: (): Promise<void> => {
      stopped ??= (async () => {
        // All at once, so that they share one grace period: nothing new is claimed while the last calls finish.
        const graceMs = config.SHUTDOWN_GRACE_SECONDS * 1_000
        await Promise.all([
          web.http.close(),
          ...[...watches, ...metrics.loops, ...loops].map((loop) => loop.stop(graceMs)),
        ])
        await metrics.stop()
        await traces.stop()
        await hints.stop()
        await identity.close()
        // After the last calls and deliveries, so that their refusals are still written.
        await events.close()
        await attachments.close()
        watch.stop()
        await Promise.all([db.close(), workerDb.close()])
      })()
      return stopped
    },
  }
}
