import type { Logger } from '../../platform/log.ts'
import { createLoop, type Loop } from '../../platform/loop.ts'
import type { OrganizationDeletion } from './deletion.ts'

/** The days of grace are over: some minutes more are nobody's harm. */
const everyMs = 300_000

export function createDeletionWorker(deletion: OrganizationDeletion, log: Logger): Loop {
  return createLoop('deleted organizations', everyMs, log, () => deletion.deleteDue())
}
