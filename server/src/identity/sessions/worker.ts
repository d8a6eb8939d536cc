import type { Logger } from '../../platform/log.ts'
import { createLoop, type Loop } from '../../platform/loop.ts'
import type { Sessions } from './service.ts'

/** They ended a month ago, so a few minutes more do not matter. */
const everyMs = 300_000

export function createSessionSweeper(sessions: Sessions, log: Logger): Loop {
  return createLoop('ended sessions', everyMs, log, () => sessions.deleteEndedSessions())
}
