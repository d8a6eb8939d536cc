/** The only source of time for rules and workers; tests bring their own. Resolution: milliseconds, as on the wire. */
export interface Clock {
  now(): Date
}

export const systemClock: Clock = { now: () => new Date() }

/** When something changes now: later than its last change, also where the clock stands still or steps back. */
export function later(before: { readonly updatedAt: Date }, now: Date): Date {
  return new Date(Math.max(now.getTime(), before.updatedAt.getTime() + 1))
}
