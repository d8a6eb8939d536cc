/** At most `calls` per `seconds`. */
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

/** A process's request for a portion of a window's calls from the shared row. */
export interface LeaseRequest {
  readonly key: Buffer
  readonly limit: RateLimit
  /** Waiting calls: granted as far as there are calls left. */
  readonly demand: number
  /** What may be taken on top, while plenty is left. */
  readonly spare: number
}

export interface Lease {
  readonly granted: number
  /** The calls of the window that no process has taken. */
  readonly remaining: number
  /** Identifies the window. */
  readonly window: number
  /** Seconds until the window ends by the database's clock, so that processes need not agree on the time. */
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
  /** Counts a call. Mostly synchronous; a promise when the shared row must be read, rejected when it cannot be. */
  take(id: string): Standing | Promise<Standing>
}

export interface RateLimiterOptions {
  readonly limit: RateLimit
  readonly keyOf: (id: string) => Buffer
  readonly lease: (request: LeaseRequest) => Promise<Lease>
  /**
   * What to do while the shared row cannot be read. `refuse`: the call fails, as every call does without a database. `alone`:
   * this process counts by itself, for calls that get nothing but refusals and public pages.
   */
  readonly without: 'refuse' | 'alone'
}

interface Bucket {
  /** Calls this process may let through without asking. */
  left: number
  /** Below this it fetches more in advance: half of what it last got to spare. */
  low: number
  /** What no process had taken at the last look. */
  elsewhere: number
  window: number
  /** On this process's monotonic clock, and never later than the window's true end. */
  until: number
  waiting: number
  asking: Promise<void> | null
}

/** Callers kept in memory: 50 000 take about 10 MB. A dropped one is read again; none gets extra calls. */
const maxBuckets = 50_000

/**
 * A fixed window per caller, shared by all processes: a process takes portions of the window's calls from a row in the
 * database and serves from them, so most calls need no query, and the sum over all processes never exceeds the limit.
 * A portion is at most a two-hundredth of the limit, so below 400 calls a window each call queries (concurrent ones share a
 * query); and at most a sixteenth of what is left, so what processes hold unused shrinks towards the end.
 * The next portion is fetched when half is used. A refusal is remembered until the window ends.
 */
export function createRateLimiter(options: RateLimiterOptions): RateLimiter {
  const { limit, keyOf, lease, without } = options
  const spare = Math.floor(limit.calls / 200)
  const buckets = new Map<string, Bucket>()

  const ask = async (id: string, bucket: Bucket): Promise<void> => {
    // Taken before sending: however long the reply takes, the window ends too early here rather than too late.
    const askedAt = performance.now()
    const demand = bucket.waiting
    try {
      const { granted, remaining, window, endsInMs } = await lease({ key: keyOf(id), limit, demand, spare })
      // Calls left of an earlier window are void.
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
      // Counted in its window, even if that ended while the reply was on its way.
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
          // Not awaited: a caller that finds nothing left asks again and gets the error.
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
