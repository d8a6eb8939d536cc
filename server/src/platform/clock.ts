/** The only source of time for rules and workers; tests bring their own. Resolution: milliseconds, as on the wire. */
export interface Clock {
  now(): Date
}

export const systemClock: Clock = { now: () => new Date() }
