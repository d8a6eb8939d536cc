import type { FastifyInstance } from 'fastify'
import { bySystem, factBy } from '../facts/fact.ts'
import type { Guard } from '../identity/guard.ts'
import type { Principal } from '../identity/principal.ts'
import { parseAllowList } from '../outbound/target-guard.ts'
import { createTransport } from '../outbound/transport.ts'
import type { Clock } from '../platform/clock.ts'
import { type Db, inTransaction } from '../platform/database/db.ts'
import type { Logger } from '../platform/log.ts'
import type { AnyRefusal } from '../platform/problem.ts'
import type { CallbackSettings } from '../settings/callbacks.ts'
import type { EventSettings } from '../settings/events.ts'
import type { HttpSettings } from '../settings/http.ts'
import { createRecordAct } from './act.ts'
import { type EvidenceSources, registerEvidenceRoutes } from './evidence/routes.ts'
import { registerExportRoutes } from './export/routes.ts'
import { createExporter, type ExportFormat } from './export/service.ts'
import type { ErasableRows } from './keeping/erasure.ts'
import { registerKeepingRoutes } from './keeping/routes.ts'
import { createKeeping, createPurgeWorker } from './keeping/service.ts'
import { registerReadingRoutes } from './reading/routes.ts'
import { createRefusedCalls, registerRefusedCalls } from './refused-calls.ts'
import { registerReportRoutes } from './report/routes.ts'
import { headsFile, headsUrl } from './seals/outside.ts'
import type { AuditSigner } from './seals/seal.ts'
import { createSealing } from './seals/worker.ts'
import { createEvents, type InTransactionReader } from './service.ts'

export interface EventModuleDependencies<Change> {
  readonly db: Db
  /** For background work. */
  readonly workerDb: Db
  readonly clock: Clock
  readonly log: Logger
  readonly settings: EventSettings & CallbackSettings & HttpSettings
  readonly readers: readonly InTransactionReader<Change>[]
  readonly signer: AuditSigner
  /** Throws 404 when the principal may not see the request. */
  readonly requireVisible: (principal: Principal, requestId: string) => Promise<unknown>
  /** What `requireVisible` throws, for the documents. */
  readonly requestNotFound: AnyRefusal
  readonly evidence: EvidenceSources
  /** What other modules keep of the texts that are erased from events. */
  readonly rows: ErasableRows
  /** What erasing an open request throws, for the documents. */
  readonly stillOpen: AnyRefusal
}

export type EventModule = ReturnType<typeof createEventModule<never>>

/** The event log, and the readers of it that make it an audit: seals, export, evidence, retention, erasure, refused calls. */
export function createEventModule<Change>(dependencies: EventModuleDependencies<Change>) {
  const { db, workerDb, clock, log, settings, signer, requireVisible, requestNotFound } = dependencies
  const { append: report } = createEvents(dependencies.readers)
  const { AUDIT_HEADS_FILE, AUDIT_HEADS_URL } = settings
  const transport = createTransport({
    rules: { what: 'audit heads', setting: 'CALLBACK_ALLOW', allow: parseAllowList(settings.CALLBACK_ALLOW) },
    timeoutMs: settings.CALLBACK_TIMEOUT_SECONDS * 1_000,
    now: () => clock.now().getTime(),
  })
  const outside = [
    ...(AUDIT_HEADS_FILE === null ? [] : [headsFile(AUDIT_HEADS_FILE)]),
    ...(AUDIT_HEADS_URL === null ? [] : [headsUrl(AUDIT_HEADS_URL, transport)]),
  ]
  const sealing = createSealing({ db: workerDb, clock, log, signer, outside, headsFile: AUDIT_HEADS_FILE })
  const { sealOne } = sealing
  const record = createRecordAct(db, report, clock)
  const keeping = createKeeping({ db, clock, report, record, rows: dependencies.rows })
  const purging = createPurgeWorker({ db: workerDb, log, keeping })
  const refusedCalls = createRefusedCalls({ db: workerDb, clock, log, report })
  const exporter = createExporter({ db, clock, log, sign: signer.sign, sealOne })

  return {
    append: report,
    refusedCalls,
    /** False once an organization's seals are not those that were there: /readyz says so. */
    isIntact: sealing.isIntact,
    heldBackSeconds: sealing.heldBackSeconds,
    /** What every process does that has no workers: /readyz must know there too. */
    watch: sealing.watch,
    /** For the deletion of organizations. */
    isHeld: keeping.isHeld,
    eraseFrom: keeping.eraseFrom,
    /** For the operator, on the command line; an event records it. Null: there is no seal `after`. */
    exportHere: async (organizationId: string, format: ExportFormat, after: number | null) => {
      const lines = await exporter.export(organizationId, format, after)
      if (lines === null) return null
      const by = { ...bySystem(organizationId), httpRequestId: 'hitl audit export' }
      const change = { before: null, after: { format, after_seal: after }, occurredAt: clock.now() }
      const taken = factBy(by, 'audit.exported', ['organization', organizationId], change)
      await inTransaction(db, { organizationId }, async (tx) => tx.last(report(tx, [taken])))
      return lines
    },
    /** Call this before the routes whose refusals it should see. */
    noteRefusedCalls: (http: FastifyInstance): void => registerRefusedCalls(http, refusedCalls),
    routes: (api: FastifyInstance, guard: Guard): void => {
      registerReadingRoutes(api, { db, guard, record, requireVisible, requestNotFound })
      const stalledAfterMs = settings.REQUEST_TIMEOUT_SECONDS * 1_000
      registerExportRoutes(api, { exporter, guard, record, stalledAfterMs })
      registerEvidenceRoutes(api, {
        db,
        clock,
        guard,
        record,
        sources: dependencies.evidence,
        requestNotFound,
        sealOne,
      })
      const { keys, names } = dependencies.evidence
      registerReportRoutes(api, { db, clock, guard, record, keys, names, sealOne })
      registerKeepingRoutes(api, { keeping, guard, stillOpen: dependencies.stillOpen })
    },
    loops: [purging, sealing],
    /** Writes collected refusals, purges what is due, seals everything that is settled; for tests. */
    drain: async (): Promise<void> => {
      await refusedCalls.flush()
      await purging.drain()
      await sealing.drain()
    },
    close: async (): Promise<void> => {
      await refusedCalls.close()
      // The last calls may have sealed for an export after the loop stopped.
      await sealing.stop()
      await transport.close()
    },
  }
}
