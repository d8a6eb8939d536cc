import { channel } from 'node:diagnostics_channel'
import { Problem, unavailable } from './problem.ts'

/** The outcome of one act of a batch: the batch commits either way, a refusal only concerns its own caller. */
export type Outcome<Out> = { readonly value: Out } | { readonly error: unknown }

/** Subscribers get a `BatchBegun` for each batch of a batcher with a name. */
export const batches = channel('hitl.batches')

export interface BatchBegun {
  readonly name: string
  readonly size: number
}

export interface BatcherOptions<In, Out> {
  /** For metrics. */
  readonly name?: string
  /** Performs all acts in one commit and returns one outcome per act, in order. Throwing means that nothing was kept. */
  readonly perform: (acts: readonly In[]) => Promise<readonly Outcome<Out>[]>
  /** Batches under way at once. More cut waiting, fewer make batches larger. */
  readonly concurrency: number
  readonly maxSize: number
  /** Acts waiting for their batch before new ones are refused with 503. */
  readonly maxWaiting?: number
  /** The bytes that an act carries; left out when they are few. */
  readonly bytesOf?: (act: In) => number
  /** Only acts of one group share a commit: each transaction touches one organization's rows alone. Groups take turns. */
  readonly groupOf?: (act: In) => string
  /**
   * For so long a batch has its group to itself, so that the next one is larger. One that takes longer, because it waits for a
   * lock or a slow disk, does not hold up the others. Left out: a group may have all places at once.
   */
  readonly aloneMs?: number
  /**
   * Whether this failure of a batch proves that nothing was committed, so that its acts may be tried one by one. After a 503 none
   * is: each would wait for the database in turn, for minutes together.
   */
  readonly rolledBack?: (error: unknown) => boolean
}

/** A batch is closed, and new acts are refused, when their bytes come to more than this: a full batch must fit into memory. */
const maxBatchBytes = 8 * 1_048_576
const maxWaitingBytes = 64 * 1_048_576

interface Waiting<In, Out> {
  readonly act: In
  readonly bytes: number
  readonly resolve: (out: Out) => void
  readonly reject: (error: unknown) => void
}

/**
 * Group commit: acts that arrive while earlier ones are being committed share the next commit. A lone act goes at once
 * (after the current turn of the event loop), so there is no timer and no added latency without concurrency.
 * If a whole batch fails and was rolled back, its acts are tried one by one, so that one bad act does not fail the others.
 */
export function createBatcher<In, Out>(options: BatcherOptions<In, Out>): (act: In) => Promise<Out> {
  const { perform, concurrency, maxSize, maxWaiting = 10_000, rolledBack = () => false, bytesOf = () => 0 } = options
  const { groupOf = () => '', aloneMs = 0 } = options
  /** By group, in the order of their turns. None is empty. */
  const queues = new Map<string, Waiting<In, Out>[]>()
  let waiting = 0
  let waitingBytes = 0
  /** The batch that has its group to itself. */
  const alone = new Map<string, readonly Waiting<In, Out>[]>()
  let busy = 0
  let scheduled = false

  const settle = (entries: readonly Waiting<In, Out>[], outcomes: readonly Outcome<Out>[]): void => {
    entries.forEach((entry, index) => {
      const outcome = outcomes[index]
      if (outcome === undefined) entry.reject(new Error('the batch gave no outcome for this act'))
      else if ('error' in outcome) entry.reject(outcome.error)
      else entry.resolve(outcome.value)
    })
  }

  /** Returns the 503 that ended it, if one did. */
  const run = async (entries: readonly Waiting<In, Out>[]): Promise<Problem | null> => {
    let outage: Problem | null = null
    try {
      settle(entries, await perform(entries.map((entry) => entry.act)))
    } catch (error) {
      if (error instanceof Problem && error.status === 503) outage = error
      if (entries.length > 1 && outage === null && rolledBack(error)) return runEach(entries)
      for (const entry of entries) entry.reject(error)
    }
    return outage
  }

  const runEach = async (entries: readonly Waiting<In, Out>[]): Promise<Problem | null> => {
    let outage: Problem | null = null
    for (const entry of entries) {
      if (outage === null) outage = await run([entry])
      else entry.reject(outage)
    }
    return outage
  }

  const letOthers = (group: string, entries: readonly Waiting<In, Out>[]): void => {
    if (alone.get(group) === entries) alone.delete(group)
    schedule()
  }

  const begin = (group: string, queue: Waiting<In, Out>[]): void => {
    const entries = nextBatch(queue, maxSize)
    if (options.name !== undefined && batches.hasSubscribers)
      batches.publish({ name: options.name, size: entries.length } satisfies BatchBegun)
    queues.delete(group)
    if (entries.length < queue.length) queues.set(group, queue.slice(entries.length))
    waiting -= entries.length
    for (const { bytes } of entries) waitingBytes -= bytes
    busy += 1
    if (aloneMs > 0) alone.set(group, entries)
    const timer = aloneMs > 0 ? setTimeout(letOthers, aloneMs, group, entries) : undefined
    void run(entries).finally(() => {
      busy -= 1
      clearTimeout(timer)
      letOthers(group, entries)
    })
  }

  const pump = (): void => {
    scheduled = false
    // A queue that is put back has its next turn in this loop, after the others.
    for (const [group, queue] of queues) {
      if (busy >= concurrency) return
      if (!alone.has(group)) begin(group, queue)
    }
  }

  const schedule = (): void => {
    if (scheduled || waiting === 0 || busy >= concurrency) return
    scheduled = true
    setImmediate(pump)
  }

  return (act) =>
    new Promise<Out>((resolve, reject) => {
      const bytes = bytesOf(act)
      if (waiting >= maxWaiting || (waitingBytes > 0 && waitingBytes + bytes > maxWaitingBytes)) {
        reject(unavailable('The service is overloaded. Try again in a moment.'))
        return
      }
      waiting += 1
      waitingBytes += bytes
      const group = groupOf(act)
      const entry = { act, bytes, resolve, reject }
      const queue = queues.get(group)
      if (queue === undefined) queues.set(group, [entry])
      else queue.push(entry)
      schedule()
    })
}

/** The first act, and as many after it as fit. */
function nextBatch<In, Out>(queue: readonly Waiting<In, Out>[], maxSize: number): readonly Waiting<In, Out>[] {
  let bytes = 0
  const end = queue.findIndex((entry, index) => {
    bytes += entry.bytes
    return index >= maxSize || (index > 0 && bytes > maxBatchBytes)
  })
  return end === -1 ? queue : queue.slice(0, end)
}
