import { unavailable } from '../../platform/problem.ts'

export interface DeferredWork {
  /** Throws 503 when too much is waiting. */
  add(work: () => Promise<void>): void
  /** Does now what is waiting, and what is under way. */
  drain(): Promise<void>
}

const waitMs = { least: 200, most: 1_000 }
const maxWaiting = 500

/**
 * Work that a reply must tell nothing of, neither by its own time nor by the next caller's: whether an address has an
 * account. It is done a random while later, all of it in a row, so that what it takes falls on nobody in particular.
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
      if (waiting.length >= maxWaiting) throw unavailable('Too much is asked for just now. Try again in a moment.')
      waiting.push(work)
      timer ??= setTimeout(round, waitMs.least + Math.random() * (waitMs.most - waitMs.least))
    },
    drain: round,
  }
}
