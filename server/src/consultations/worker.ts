import type { Logger } from '../platform/log.ts'
import { createLoop, type Loop } from '../platform/loop.ts'
import type { Consultations } from './service.ts'

/** A timeout is sent within a second of its time; looking four times a second leaves room for the work itself. */
const everyMs = 250
/** The next round follows at once when there are more. */
const batchSize = 128

/** Times out due requests. Every process may run one: SKIP LOCKED shares the rows among them. */
export function createExpiryWorker(consultations: Consultations, log: Logger): Loop {
  return createLoop('expiry', everyMs, log, async () => (await consultations.expireDue(batchSize)) === batchSize)
}
