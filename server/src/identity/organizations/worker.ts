import type { Logger } from '../../platform/log.ts'
import { createLoop, type Loop } from '../../platform/loop.ts'
import type { OrganizationDeletion } from './deletion.ts'

/** After the days of grace some minutes more do no harm. */
const everyMs = 300_000

export function createDeletionWorker(deletion: OrganizationDeletion, log: Logger): Loop {
  return createLoop('deleted organizations', everyMs, log, () => deletion.deleteDue())
}
