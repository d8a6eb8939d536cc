import { unavailable } from './problem.ts'

/** The outcome of one act of a batch: the batch commits either way, a refusal only concerns its own caller. */
export type Outcome<Out> = { readonly value: Out } | { readonly error: unknown }

export interface BatcherOptions<In, Out> {
  /** Performs all acts in one commit and returns one outcome per act, in order. Throwing means that nothing was kept. */
  readonly perform: (acts: readonly In[]) => Promise<readonly Outcome<Out>[]>
  /** Batches under way at once. More cut waiting, fewer make batches larger. */
  readonly concurrency: number
  readonly maxSize: number
  /** Acts waiting for their batch before new ones are refused with 503. */
  readonly maxWaiting?: number
  /** The bytes that an act carries; left out when they are few. */
  readonly bytesOf?: (act: In) => number
  /** Only acts of one group share a commit: each transaction touches one organization's rows alone. */
  readonly groupOf?: (act: In) => string
  /** Whether this failure of a batch proves that nothing was committed, so that its acts may be tried one by one. */
  readonly rolledBack?: (error: unknown) => boolean
}

/** A batch is closed, and new acts are refused, when their bytes come to more than this: a full batch must fit into memory. */
const maxBatchBytes = 8 * 1_048_576
const maxWaitingBytes = 64 * 1_048_576

interface Waiting<In, Out> {
  readonly act: In
  readonly bytes: number
  readonly group: string
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
  const { groupOf = () => '' } = options
  let waiting: Waiting<In, Out>[] = []
  let waitingBytes = 0
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

  const run = async (entries: readonly Waiting<In, Out>[]): Promise<void> => {
    try {
      settle(entries, await perform(entries.map((entry) => entry.act)))
    } catch (error) {
      if (entries.length === 1 || !rolledBack(error)) for (const entry of entries) entry.reject(error)
      else for (const entry of entries) await run([entry])
    }
  }

  const pump = (): void => {
    scheduled = false
    while (busy < concurrency && waiting.length > 0) {
      const entries = nextBatch(waiting, maxSize)
      // Nearly always the head of the queue: one organization is busy, or there is only one.
      const taken = new Set(entries)
      waiting = entries.length === waiting.length ? [] : waiting.filter((entry) => !taken.has(entry))
      for (const { bytes } of entries) waitingBytes -= bytes
      busy += 1
      void run(entries).finally(() => {
        busy -= 1
        schedule()
      })
    }
  }

  const schedule = (): void => {
    if (scheduled || waiting.length === 0 || busy >= concurrency) return
    scheduled = true
    setImmediate(pump)
  }

  return (act) =>
    new Promise<Out>((resolve, reject) => {
      const bytes = bytesOf(act)
      if (waiting.length >= maxWaiting || (waitingBytes > 0 && waitingBytes + bytes > maxWaitingBytes)) {
        reject(unavailable('The service is overloaded. Try again in a moment.'))
        return
      }
      waitingBytes += bytes
      waiting.push({ act, bytes, group: groupOf(act), resolve, reject })
      schedule()
    })
}

/** The first act, and as many of its group after it as fit. */
function nextBatch<In, Out>(waiting: readonly Waiting<In, Out>[], maxSize: number): readonly Waiting<In, Out>[] {
  const batch: Waiting<In, Out>[] = []
  let bytes = 0
  for (const entry of waiting) {
    if (entry.group !== waiting[0]?.group) continue
    bytes += entry.bytes
    if (batch.length >= maxSize || (batch.length > 0 && bytes > maxBatchBytes)) break
    batch.push(entry)
  }
  return batch
}
