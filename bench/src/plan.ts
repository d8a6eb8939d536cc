/** What is measured, in the order of the printed report. */
export const measurements = [
  'raw inserts',
  'floor creates',
  'creates',
  'reads',
  'list pages',
  'responds',
  'floor lifecycles',
  'lifecycles',
] as const

export type Measurement = (typeof measurements)[number]

/** What each of these is compared with. */
export const floors: Readonly<Partial<Record<Measurement, Measurement>>> = {
  creates: 'floor creates',
  lifecycles: 'floor lifecycles',
}

export const concurrencies: readonly number[] = [1, 16, 64]

/** Requests in the table before anything is measured. */
export const loadedRequests = { full: 200_000, quick: 20_000 } as const

/** What the load process needs to know; its first message. */
export interface Setup {
  readonly serviceUrl: string
  readonly apiKey: string
  readonly loadedRequests: number
  readonly reviewerToken: string
  readonly database: Connection
  readonly floor: { readonly url: string; readonly pid: number }
  readonly servicePid: number
  readonly postgresPid: number
}

export interface Connection {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
}

export interface Job {
  readonly measurement: Measurement
  readonly concurrency: number
  readonly warmUpMs: number
  readonly measuredMs: number
}

/** In milliseconds, over every sample of the measured time. */
export interface Latency {
  readonly p50: number
  readonly p99: number
}

/** One figure each for the service, PostgreSQL and the load process itself. */
export interface PerProcess {
  readonly service: number
  readonly postgres: number
  readonly load: number
}

export interface Result {
  readonly job: Job
  readonly perSecond: number
  readonly latency: Latency
  /** From the decision to the callback, counted from the respond call and from its reply. For lifecycles only. */
  readonly callback: { readonly fromCall: Latency; readonly fromReply: Latency } | null
  /** Error messages and how often each occurred, warm-up included. */
  readonly errors: Readonly<Record<string, number>>
  /** Creates that returned 201, warm-up included. */
  readonly created: number
  /** Busy processor cores on average over the measured time; `others` is everything else. Null without /proc. */
  readonly cores: (PerProcess & { readonly others: number }) | null
  /** MiB at the end of the measured time. Null without /proc. */
  readonly memory: PerProcess | null
}

export type Reply = { readonly ready: true } | { readonly result: Result } | { readonly failure: string }

/** What every list is meant to keep at a million requests. */
export const mostMs = 30

export interface ListFigure {
  readonly who: string
  readonly list: string
  readonly page: 'first' | 'middle' | '-'
  readonly items: number
  readonly p50: number
  readonly p99: number
}
