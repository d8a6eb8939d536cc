/** The only source of time for rules and workers; tests replace it. Resolution: milliseconds, as on the wire. */
export interface Clock {
  now(): Date
}

export const systemClock: Clock = { now: () => new Date() }

/** The time of a change: always later than the last one, even when the clock stands still or steps back. */
export function later(before: { readonly updatedAt: Date }, now: Date): Date {
  return new Date(Math.max(now.getTime(), before.updatedAt.getTime() + 1))
}
