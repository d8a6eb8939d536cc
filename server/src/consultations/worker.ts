import type { Logger } from '../platform/log.ts'
import { createLoop, type Loop } from '../platform/loop.ts'
import type { Consultations } from './service.ts'

/** A timeout is sent within a second of its time; looking four times a second leaves room for the work itself. */
const everyMs = 250
/** The next round follows at once when there are more. */
const batchSize = 128

/** What changed can be found within two seconds: a round comes at most this late, and lasts as long as it has work. */
const searchEveryMs = 500

/** Makes new and changed requests searchable. Every process may run one: an organization is filled by one at a time. */
export function createSearchWorker({ searchFilling }: Consultations, log: Logger): Loop {
  return createLoop('search', searchEveryMs, log, searchFilling.round)
}

/** Times out due requests. Every process may run one: SKIP LOCKED shares the rows among them. */
export function createExpiryWorker(consultations: Consultations, log: Logger): Loop {
  return createLoop('expiry', everyMs, log, async () => (await consultations.expireDue(batchSize)) === batchSize)
}
