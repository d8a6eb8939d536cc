import { AsyncResource } from 'node:async_hooks'
import { channel } from 'node:diagnostics_channel'
import { outageOf } from './database/errors.ts'
import { createFailureLog } from './failure-log.ts'
import type { Logger } from './log.ts'

/** Subscribers get the name of the loop for each round that failed. */
export const failedRounds = channel('hitl.failed-rounds')

/** What a process does besides serving calls. */
export interface BackgroundWork {
  start(): void
  /** Works until nothing is left to do; for tests and shutdown. */
  drain(): Promise<void>
  /** Begins nothing new; resolves when the work under way has ended, or was given up after `graceMs`. */
  stop(graceMs: number): Promise<void>
}

export interface Loop extends BackgroundWork {
  /** Looks now instead of at the next turn. */
  wake(): void
  /** Begins no new round; resolves when the current one has ended. */
  stop(): Promise<void>
}

/**
 * A background loop: `round` does one batch of work and returns whether more is waiting. Runs every `everyMs`, and at once
 * when woken or when more is waiting; a failed round is tried again after a growing pause, at most `maxPauseMs`.
 */
export function createLoop(
  name: string,
  everyMs: number,
  log: Logger,
  round: () => Promise<boolean>,
  maxPauseMs = 5_000,
): Loop {
  let running: Promise<void> | null = null
  let timer: NodeJS.Timeout | null = null
  let started = false
  let woken = false
  let failures = 0
  const sentences = {
    failed: 'a background round failed and will be tried again',
    worked: 'a background loop works again',
  }
  const lines = createFailureLog(log, sentences, { loop: name })

  const schedule = (ms: number): void => {
    if (!started) return
    if (timer !== null) clearTimeout(timer)
    timer = setTimeout(tick, ms)
  }
  // In the context that it was made in: a call that wakes it would otherwise have all later rounds as a part of its trace.
  const tick = AsyncResource.bind((): void => {
    if (!started) return
    if (running !== null) {
      woken = true
      return
    }
    woken = false
    running = round()
      .then((more) => {
        failures = 0
        lines.worked()
        return more || woken ? 0 : everyMs
      })
      .catch((error: unknown) => {
        failures += 1
        failedRounds.publish(name)
        // The database's watch says that for all loops.
        if (outageOf(error) === null) lines.failed(error)
        return Math.min(maxPauseMs, everyMs * 2 ** Math.min(failures, 10))
      })
      .then((pause) => {
        running = null
        schedule(pause)
      })
  })
  return {
    start: () => {
      started = true
      schedule(0)
    },
    wake: () => {
      if (running === null) schedule(0)
      else woken = true
    },
    drain: async () => {
      await running
      while (await round()) {}
    },
    stop: async () => {
      started = false
      if (timer !== null) clearTimeout(timer)
      await running
    },
  }
}
