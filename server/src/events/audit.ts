import type { FastifyInstance } from 'fastify'
import { factBy, type Report, system } from '../facts/fact.ts'
import type { Guard } from '../identity/guard.ts'
import type { Principal } from '../identity/principal.ts'
import type { Clock } from '../platform/clock.ts'
import { type Db, inTransaction } from '../platform/database/db.ts'
import type { Logger } from '../platform/log.ts'
import { createRecordAct } from './act.ts'
import { type EvidenceSources, registerEvidenceRoutes } from './evidence/routes.ts'
import { registerExportRoutes } from './export/routes.ts'
import { createExporter, type ExportFormat } from './export/service.ts'
import { registerKeepingRoutes } from './keeping/routes.ts'
import { createKeeping, createPurgeWorker } from './keeping/service.ts'
import { registerReadingRoutes } from './reading/routes.ts'
import { createRefusedCalls } from './refused-calls.ts'
import { headsFile, headsUrl, type PostJson } from './seals/outside.ts'
import type { SignAudit } from './seals/seal.ts'
import { createSealing } from './seals/worker.ts'

export interface AuditDependencies {
  readonly db: Db
  /** For background work. */
  readonly workerDb: Db
  readonly clock: Clock
  readonly log: Logger
  readonly report: Report
  readonly sign: SignAudit
  /** Where heads are written outside of the database; null: nowhere. */
  readonly headsFile: string | null
  readonly headsUrl: string | null
  readonly post: PostJson
}

export interface AuditRoutes {
  readonly guard: Guard
  /** Throws 404 when the principal may not see the request. */
  readonly requireVisible: (principal: Principal, requestId: string) => Promise<unknown>
  readonly evidence: EvidenceSources
  /** A reader of an export that takes nothing for so long is let go. */
  readonly stalledAfterMs: number
}

export type Audit = ReturnType<typeof createAudit>

/** The readers of the event log that make it an audit: seals, export, evidence, retention, erasure, refused calls. */
export function createAudit(dependencies: AuditDependencies) {
  const { db, workerDb, clock, log, report, sign, post } = dependencies
  const outside = [
    ...(dependencies.headsFile === null ? [] : [headsFile(dependencies.headsFile)]),
    ...(dependencies.headsUrl === null ? [] : [headsUrl(dependencies.headsUrl, post)]),
  ]
  const sealing = createSealing({ db: workerDb, clock, log, sign, outside })
  const { sealOne } = sealing
  const keeping = createKeeping({ db, clock, report })
  const purging = createPurgeWorker({ db: workerDb, log, keeping })
  const refusedCalls = createRefusedCalls({ db: workerDb, clock, log, report })
  const record = createRecordAct(db, report, clock)
  const exporter = createExporter({ db, clock, sign, sealOne })

  return {
    refusedCalls,
    /** For organizations that are deleted. */
    isHeld: keeping.isHeld,
    eraseFrom: keeping.eraseFrom,
    /** For the operator at the installation itself; an event says that it was taken away. Null: there is no seal `after`. */
    exportHere: async (organizationId: string, format: ExportFormat, after: number | null) => {
      const lines = await exporter.export(organizationId, format, after)
      if (lines === null) return null
      const origin = { organizationId, actor: system, httpRequestId: 'hitl audit export' }
      const taken = factBy(origin, 'audit.exported', ['organization', organizationId], {
        before: null,
        after: { format, after_seal: after },
        occurredAt: clock.now(),
      })
      await inTransaction(db, { organizationId }, async (tx) => tx.last(report(tx, [taken])))
      return lines
    },
    registerRoutes: (app: FastifyInstance, { guard, requireVisible, evidence, stalledAfterMs }: AuditRoutes): void => {
      registerReadingRoutes(app, { db, guard, requireVisible })
      registerExportRoutes(app, { exporter, guard, record, stalledAfterMs })
      registerEvidenceRoutes(app, { db, clock, guard, record, sources: evidence, sealOne })
      registerKeepingRoutes(app, { keeping, guard })
    },
    start: (): void => {
      sealing.start()
      purging.start()
    },
    /** Writes what was collected, purges what is due, seals everything that is settled; for tests. */
    drain: async (): Promise<void> => {
      await refusedCalls.flush()
      await purging.drain()
      await sealing.drain()
    },
    stop: async (): Promise<void> => {
      await refusedCalls.close()
      await Promise.all([purging.stop(), sealing.stop()])
    },
  }
}
