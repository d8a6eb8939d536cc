import type { Logger } from '../../platform/log.ts'
import { createLoop, type Loop } from '../../platform/loop.ts'
import type { Sessions } from './service.ts'

/** They ended a month ago: some minutes more matter to nobody. */
const everyMs = 300_000

export function createSessionSweeper(sessions: Sessions, log: Logger): Loop {
  return createLoop('sessions that are over', everyMs, log, () => sessions.forgetOver())
}
