import type { Logger } from '../platform/log.ts'
import { createLoop, type Loop } from '../platform/loop.ts'
import type { Consultations } from './service.ts'

/** A timeout is sent within a second of its time; looking four times a second leaves room for the work itself. */
const everyMs = 250
/** Whole requests are read, of up to a megabyte each: more comes with the next round, which follows at once. */
const batchSize = 32

/** Times out what is due. Every process may run one: rows are shared by SKIP LOCKED. */
export function createExpiryWorker(consultations: Consultations, log: Logger): Loop {
  return createLoop('expiry', everyMs, log, async () => (await consultations.expireDue(batchSize)) === batchSize)
}
