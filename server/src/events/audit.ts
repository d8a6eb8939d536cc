import type { FastifyInstance } from 'fastify'
import { system } from '../facts/fact.ts'
import type { Guard } from '../identity/guard.ts'
import type { Principal } from '../identity/principal.ts'
import type { Clock } from '../platform/clock.ts'
import { type Db, inTransaction } from '../platform/database/db.ts'
import { newId } from '../platform/ids.ts'
import type { Logger } from '../platform/log.ts'
import { createRecordAct } from './act.ts'
import type { Event } from './event.ts'
import { type EvidenceSources, registerEvidenceRoutes } from './evidence/routes.ts'
import { registerExportRoutes } from './export/routes.ts'
import { createExporter, type ExportFormat } from './export/service.ts'
import { registerKeepingRoutes } from './keeping/routes.ts'
import { createKeeping, createPurgeWorker } from './keeping/service.ts'
import { registerReadingRoutes } from './reading/routes.ts'
import { createRefusals } from './refusals.ts'
import { headsFile, headsUrl, type PostJson } from './seals/outside.ts'
import type { SignAudit } from './seals/seal.ts'
import { createSealer } from './seals/worker.ts'
import type { Events } from './service.ts'

export interface AuditDependencies {
  readonly db: Db
  /** For background work. */
  readonly workerDb: Db
  readonly clock: Clock
  readonly log: Logger
  readonly events: Events
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

/** The readers of the event log that make it an audit: seals, export, evidence, retention, erasure, refusals. */
export function createAudit(dependencies: AuditDependencies) {
  const { db, workerDb, clock, log, events, sign, post } = dependencies
  const outside = [
    ...(dependencies.headsFile === null ? [] : [headsFile(dependencies.headsFile)]),
    ...(dependencies.headsUrl === null ? [] : [headsUrl(dependencies.headsUrl, post)]),
  ]
  const sealer = createSealer({ db: workerDb, clock, log, sign, outside })
  const { sealOne } = sealer
  const keeping = createKeeping({ db, clock, events })
  const purging = createPurgeWorker({ db: workerDb, log, keeping })
  const refusals = createRefusals({ db: workerDb, clock, log, events })
  const record = createRecordAct(db, events, clock)
  const exporter = createExporter({ db, clock, sign, sealOne })

  return {
    refusals,
    /** For organizations that are deleted. */
    isHeld: keeping.isHeld,
    eraseFrom: keeping.eraseFrom,
    /** For the operator at the installation itself; an event says that it was taken away. Null: there is no seal `after`. */
    exportHere: async (organizationId: string, format: ExportFormat, after: number | null) => {
      const lines = await exporter.export(organizationId, format, after)
      if (lines === null) return null
      const taken: Event = {
        id: newId(),
        organizationId,
        kind: 'audit.exported',
        subjectKind: 'organization',
        subjectId: organizationId,
        actor: system,
        httpRequestId: 'hitl audit export',
        before: null,
        after: { format, after_seal: after },
        occurredAt: clock.now(),
      }
      await inTransaction(db, { organizationId }, async (tx) => tx.last(events.append(tx, [taken])))
      return lines
    },
    registerRoutes: (app: FastifyInstance, { guard, requireVisible, evidence, stalledAfterMs }: AuditRoutes): void => {
      registerReadingRoutes(app, { db, guard, requireVisible })
      registerExportRoutes(app, { exporter, guard, record, stalledAfterMs })
      registerEvidenceRoutes(app, { db, clock, guard, record, sources: evidence, sealOne })
      registerKeepingRoutes(app, { keeping, guard })
    },
    start: (): void => {
      sealer.start()
      purging.start()
    },
    /** Writes what was collected, purges what is due, seals everything that is settled; for tests. */
    drain: async (): Promise<void> => {
      await refusals.flush()
      await purging.drain()
      await sealer.drain()
    },
    stop: async (): Promise<void> => {
      await refusals.close()
      await Promise.all([purging.stop(), sealer.stop()])
    },
  }
}
