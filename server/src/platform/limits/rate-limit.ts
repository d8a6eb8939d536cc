/** So many calls in so many seconds. */
export interface RateLimit {
  readonly calls: number
  readonly seconds: number
}

/** `1000/60` is a thousand calls a minute, `off` is no limit. Throws an Error whose message completes "NAME must ...". */
export function parseRateLimit(text: string): RateLimit | null {
  if (text === 'off') return null
  const [, calls, seconds] = /^([1-9]\d{0,8})\/([1-9]\d{0,4})$/.exec(text) ?? []
  if (calls === undefined || Number(seconds) > 86_400) {
    throw new Error('must be calls/seconds such as 1000/60 (at most 999999999 calls, at most a day), or off')
  }
  return { calls: Number(calls), seconds: Number(seconds) }
}

/** A portion of a window's calls that a process asks the shared row for. */
export interface LeaseRequest {
  readonly key: Buffer
  readonly limit: RateLimit
  /** Calls that wait for it: as many as there are, if there are as many. */
  readonly demand: number
  /** What may be taken beyond them, while plenty is left. */
  readonly spare: number
}

export interface Lease {
  readonly granted: number
  /** What nobody has taken of the window yet. */
  readonly remaining: number
  /** Says which window this is of. */
  readonly window: number
  /** Until the window ends, by the database's clock: processes need not agree on the time. */
  readonly endsInMs: number
}

export interface Standing {
  readonly refused: boolean
  /** Calls of the window that are left, as far as this process knows. */
  readonly remaining: number
  /** Seconds until the window ends. */
  readonly reset: number
}

export interface RateLimiter {
  readonly limit: RateLimit
  /** Counts a call. Nearly always at once; a promise when the shared row has to be asked. Rejects when it cannot be. */
  take(id: string): Standing | Promise<Standing>
}

export interface RateLimiterOptions {
  readonly limit: RateLimit
  readonly keyOf: (id: string) => Buffer
  readonly lease: (request: LeaseRequest) => Promise<Lease>
  /**
   * What counts while the shared row cannot be asked. `refuse`: nothing, the call fails as every call does without a
   * database. `alone`: this process counts by itself, for calls that get nothing but refusals and public pages.
   */
  readonly without: 'refuse' | 'alone'
}

interface Bucket {
  /** Calls this process may let through without asking. */
  left: number
  /** Below this it fetches more before it has to: half of what it last got to spare. */
  low: number
  /** What nobody had taken when it last asked. */
  elsewhere: number
  window: number
  /** On this process's monotonic clock, and never later than the window's true end. */
  until: number
  waiting: number
  asking: Promise<void> | null
}

/** Who is known at once: 50 000 callers take about 10 MB. Who is forgotten is asked for again; nothing is let through. */
const maxBuckets = 50_000

/**
 * A fixed window per caller, shared by all processes: a process takes portions of the window's calls from a row in the
 * database and serves from them, so most calls ask nobody, and the sum over all processes can never exceed the limit.
 * A portion is at most a two-hundredth of the limit, so below 400 calls a window each call asks (and those that come
 * together ask once); and at most a sixteenth of what is left, so what processes hold unused shrinks towards the end.
 * The next portion is fetched when half is used. A refusal is remembered until the window ends.
 */
export function createRateLimiter(options: RateLimiterOptions): RateLimiter {
  const { limit, keyOf, lease, without } = options
  const spare = Math.floor(limit.calls / 200)
  const buckets = new Map<string, Bucket>()

  const ask = async (id: string, bucket: Bucket): Promise<void> => {
    // Before it is sent: whatever time the answer takes, the window is thought to end too early rather than too late.
    const askedAt = performance.now()
    const demand = bucket.waiting
    try {
      const { granted, remaining, window, endsInMs } = await lease({ key: keyOf(id), limit, demand, spare })
      // What is left of an earlier window is void.
      bucket.left = bucket.window === window ? bucket.left + granted : granted
      bucket.low = Math.floor((granted - demand) / 2)
      bucket.elsewhere = remaining
      bucket.window = window
      bucket.until = askedAt + endsInMs
    } catch (error) {
      if (without === 'refuse') throw error
      bucket.left = Math.ceil(limit.calls / limit.seconds)
      bucket.low = 0
      bucket.elsewhere = 0
      bucket.window = 0
      bucket.until = askedAt + 1_000
    } finally {
      bucket.asking = null
    }
  }

  const standing = (bucket: Bucket, refused: boolean, now: number): Standing => ({
    refused,
    remaining: bucket.left + bucket.elsewhere,
    reset: Math.max(1, Math.ceil((bucket.until - now) / 1_000)),
  })

  const bucketOf = (id: string): Bucket => {
    const known = buckets.get(id)
    if (known !== undefined) return known
    if (buckets.size >= maxBuckets) makeRoom(buckets)
    const made = { left: 0, low: 0, elsewhere: 1, window: 0, until: 0, waiting: 0, asking: null }
    buckets.set(id, made)
    return made
  }

  const takeSlowly = async (id: string): Promise<Standing> => {
    const bucket = bucketOf(id)
    for (;;) {
      bucket.waiting += 1
      try {
        bucket.asking ??= ask(id, bucket)
        await bucket.asking
      } finally {
        bucket.waiting -= 1
      }
      const now = performance.now()
      // Counted in its window, even when the answer took longer than what was left of it.
      if (bucket.left > 0) {
        bucket.left -= 1
        return standing(bucket, false, now)
      }
      if (bucket.elsewhere === 0 && now < bucket.until) return standing(bucket, true, now)
    }
  }

  return {
    limit,
    take: (id) => {
      const bucket = buckets.get(id)
      const now = performance.now()
      if (bucket === undefined || now >= bucket.until) return takeSlowly(id)
      if (bucket.left > 0) {
        bucket.left -= 1
        if (bucket.left < bucket.low && bucket.elsewhere > 0 && bucket.asking === null) {
          bucket.asking = ask(id, bucket)
          // Nobody waits for it: who finds nothing left asks again and is told.
          bucket.asking.catch(() => {})
        }
        return standing(bucket, false, now)
      }
      return bucket.elsewhere === 0 && bucket.asking === null ? standing(bucket, true, now) : takeSlowly(id)
    },
  }
}

function makeRoom(buckets: Map<string, Bucket>): void {
  const now = performance.now()
  for (const [id, bucket] of buckets) if (now >= bucket.until && bucket.asking === null) buckets.delete(id)
  if (buckets.size >= maxBuckets) buckets.clear()
}
