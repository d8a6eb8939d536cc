import { unavailable } from '../../platform/problem.ts'

export interface DeferredWork {
  /** Throws 503 when too much is waiting. */
  add(work: () => Promise<void>): void
  /** Does all waiting work now; resolves when that and running work is done. */
  drain(): Promise<void>
}

const waitMs = { least: 200, most: 1_000 }
const maxWaiting = 500

/**
 * Work that would reveal by its duration whether an address has an account, to this caller or to the next. It is done a random
 * while after the reply, one after the other.
 */
export function createDeferredWork(): DeferredWork {
  let waiting: (() => Promise<void>)[] = []
  let timer: NodeJS.Timeout | null = null
  let running: Promise<void> = Promise.resolve()

  const round = async (): Promise<void> => {
    if (timer !== null) clearTimeout(timer)
    timer = null
    const due = waiting
    waiting = []
    const before = running
    running = (async () => {
      await before
      for (const work of due) await work()
    })()
    await running
  }

  return {
    add: (work) => {
      if (waiting.length >= maxWaiting) throw unavailable('The service is busy. Try again in a moment.')
      waiting.push(work)
      timer ??= setTimeout(round, waitMs.least + Math.random() * (waitMs.most - waitMs.least))
    },
    drain: round,
  }
}
