import type { Events } from '../events/service.ts'
import type { Agent, Caller } from '../identity/principal.ts'
import type { Clock } from '../platform/clock.ts'
import type { Db } from '../platform/database/db.ts'
import { provesRollback } from '../platform/database/errors.ts'
import type { Logger } from '../platform/log.ts'
import type { Problem } from '../platform/problem.ts'
import type { Sealer } from '../platform/secrets/sealed-text.ts'
import type { AnswerFiles } from './answer-files.ts'
import type { Certifier, OpenCertificate } from './certificate.ts'
import type { RequestChange } from './facts.ts'
import type { CallbackRefusals } from './new-request.ts'
import type { OpenWrites } from './open-writes.ts'

/** What every use case needs. */
export interface Context extends CallbackRefusals {
  readonly db: Db
  /** For background work. */
  readonly workerDb: Db
  readonly clock: Clock
  readonly log: Logger
  readonly events: Events<RequestChange>
  readonly sealer: Sealer
  /** The 403 to throw when an agent is paused or stopped. */
  readonly refusalOf: (by: Caller<Agent>) => Promise<Problem>
  readonly certifier: Certifier
  readonly openWrites: OpenWrites
  readonly openCertificate: OpenCertificate
  readonly answerFiles: AnswerFiles
}

/**
 * How writes are committed together: most of a commit's cost is per statement, so an organization has one at a time, unless it
 * is slow. Two make smaller commits: 8 % more processor time per lifecycle at 16 callers, measured on a busy machine.
 */
export const writes = { concurrency: 2, aloneMs: 25, maxSize: 64, rolledBack: provesRollback } as const
