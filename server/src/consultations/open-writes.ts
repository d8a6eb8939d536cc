import type { Clock } from '../platform/clock.ts'

/**
 * Differential polls ask for what changed after the newest change they have seen. A change has its time before it is committed,
 * and commits overtake one another; so that a poll never shows a later change while an earlier one is still on its way, each
 * process keeps the times of its writes that are under way, and a poll shows what is older than all of them. Other processes see
 * only when a transaction began, so a change gets its time within its transaction.
 */
export interface OpenWrites {
  /** The time for changes: later than everything that a poll has shown, whatever the system's clock does. */
  readonly clock: Clock
  /** Runs a write, whose changes get their times from `clock` meanwhile. */
  during<T>(write: () => Promise<T>): Promise<T>
  /** As `during`, for a write that ends elsewhere: to be called when it is committed or rolled back. */
  begin(): () => void
  /** A change got this time, which may be a little ahead of `clock`. */
  changedAt(time: Date): void
  /** The newest time that a change may have got by now. */
  newest(): Date
  /** No change up to this time is under way, and from now on none will get it. */
  settledUntil(): Date
  /** The same of times that are over: it moves none of those that changes will get. */
  settledBefore(): Date
}

/** Longer than any statement may take: a write whose end was missed must not hold up polls for ever. */
const longestMs = 60_000

/** Further ahead, the clock has stepped back: then changes wait for their time instead of moving all later ones. */
const aheadMs = 1_000

export function createOpenWrites(clock: Clock): OpenWrites {
  const begun = new Set<{ readonly at: number }>()
  let shown = Number.NEGATIVE_INFINITY
  let given = Number.NEGATIVE_INFINITY
  const now = (): number => {
    const time = Math.max(clock.now().getTime(), shown + 1)
    given = Math.max(given, time)
    return time
  }

  const settled = (upTo: number): number => {
    for (const write of begun) {
      if (write.at < upTo - longestMs) begun.delete(write)
      else if (write.at <= upTo) upTo = write.at - 1
    }
    return upTo
  }

  const begin = (): (() => void) => {
    const write = { at: now() }
    begun.add(write)
    return () => void begun.delete(write)
  }

  return {
    clock: { now: () => new Date(now()) },
    begin,
    during: async (write) => {
      const end = begin()
      try {
        return await write()
      } finally {
        end()
      }
    },
    changedAt: (time) => {
      given = Math.max(given, time.getTime())
    },
    newest: () => new Date(Math.max(clock.now().getTime(), given)),
    settledUntil: () => {
      // Times given in the milliseconds after what was shown may be ahead of the system's clock.
      const ahead = given - clock.now().getTime() < aheadMs ? given : shown
      const until = settled(Math.max(clock.now().getTime(), ahead))
      shown = Math.max(shown, until)
      return new Date(until)
    },
    settledBefore: () => new Date(settled(clock.now().getTime() - 1)),
  }
}
