import type { Report } from '../facts/fact.ts'
import type { Caller, Principal } from '../identity/principal.ts'
import type { Clock } from '../platform/clock.ts'
import type { Db, Tx } from '../platform/database/db.ts'
import type { Logger } from '../platform/log.ts'
import type { AnyRefusal } from '../platform/problem.ts'
import type { AttachmentJson, AttachmentLimits } from './attachment.ts'
import type { ObjectStore } from './s3.ts'

/** What this module asks of the requests that files belong to. */
export interface Requests {
  /** Throws 404 when the principal may not see it, and 409 unless it is open: asked before a file is taken. */
  requireOpen(principal: Principal, id: string): Promise<void>
  /** Throws 404 when the principal may not see it. `withheld`: files that the principal must not know of yet. */
  requireVisible(principal: Principal, id: string): Promise<{ readonly withheld: readonly string[] }>
  /** As `requireOpen`, and until the transaction ends nobody answers it. */
  lockOpen(tx: Tx, by: Caller, id: string): Promise<OpenRequest>
  /** How they can refuse, for the documents. */
  readonly notFound: AnyRefusal
  readonly closed: readonly AnyRefusal[]
}

/** A request that is open and locked. */
export interface OpenRequest {
  /** Makes a file of its agent's a part of what is asked, with the event that says so. */
  attach(attachment: AttachmentJson): Promise<void>
  detach(attachment: AttachmentJson): Promise<void>
}

export interface AttachmentContext {
  readonly db: Db
  readonly clock: Clock
  readonly log: Logger
  readonly report: Report
  readonly requests: Requests
  readonly limits: AttachmentLimits
  /** Null: new files stay in PostgreSQL. */
  readonly objects: ObjectStore | null
}
