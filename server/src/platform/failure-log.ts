import type { Logger } from './log.ts'

const everyMs = 60_000

export interface FailureLog {
  /** What failed again; `what` replaces the sentence where it can fail in several ways. */
  failed(error: unknown, what?: string): void
  worked(): void
}

/**
 * For what is tried again and again: a line when it begins to fail or fails in another way, one a minute while it goes on, and
 * one with its length when it is over.
 */
export function createFailureLog(
  log: Logger,
  sentences: { readonly failed: string; readonly worked: string },
  fields: Readonly<Record<string, unknown>> = {},
  now: () => number = () => performance.now(),
): FailureLog {
  let current: { readonly what: string; readonly since: number; saidAt: number; times: number } | null = null
  return {
    failed: (error, what = sentences.failed) => {
      const at = now()
      if (current === null || current.what !== what) {
        current = { what, since: current?.since ?? at, saidAt: at, times: (current?.times ?? 0) + 1 }
        log.error({ ...(error instanceof Error ? { err: error } : (error as object)), ...fields }, what)
        return
      }
      current.times += 1
      if (at - current.saidAt < everyMs) return
      current.saidAt = at
      const { message, code } = error as { message?: unknown; code?: unknown }
      const shown = error instanceof Error ? { reason: message, code } : (error as object)
      log.error({ ...shown, ...fields, times: current.times, seconds: seconds(at - current.since) }, what)
    },
    worked: () => {
      if (current === null) return
      const { times, since } = current
      current = null
      log.info({ ...fields, times, seconds: seconds(now() - since) }, sentences.worked)
    },
  }
}

const seconds = (ms: number): number => Math.round(ms / 100) / 10
