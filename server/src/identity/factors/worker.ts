import type { Logger } from '../../platform/log.ts'
import { createLoop, type Loop } from '../../platform/loop.ts'
import type { Factors } from './service.ts'

/** Nothing depends on this interval: what has expired is ignored even before it is deleted. */
const everyMs = 60_000

export function createFactorSweeper(factors: Factors, log: Logger): Loop {
  return createLoop('unfinished factors', everyMs, log, () => factors.sweep())
}
