import { setTimeout as delay } from 'node:timers/promises'
import { unavailable } from '../../platform/problem.ts'

/** Does the work, and resolves when it is done. Throws 503 when too much is waiting. */
export type DeferredWork = (work: () => Promise<void>) => Promise<void>

export interface Deferral {
  readonly leastMs: number
  readonly mostMs: number
  /** It resolves at multiples of this. */
  readonly tickMs: number
}

const deferral: Deferral = { leastMs: 200, mostMs: 1_000, tickMs: 1_250 }
const maxWaiting = 500

/**
 * Work that would reveal by its duration whether an address has an account, to this caller or to another that measures at the
 * same time. It is done after a random while, one after the other, and its caller waits until the next tick. So the reply comes
 * when the work is done: a process that ends before loses nothing that it has promised.
 */
export function createDeferredWork({ leastMs, mostMs, tickMs } = deferral): DeferredWork {
  let waiting: (() => Promise<void>)[] = []
  let running: Promise<void> = Promise.resolve()

  const round = (): void => {
    const due = waiting
    waiting = []
    running = running.then(async () => {
      for (const work of due) await work()
    })
  }

  return async (work) => {
    if (waiting.length >= maxWaiting) throw unavailable('The service is busy. Try again in a moment.')
    const beganAt = performance.now()
    if (waiting.length === 0) setTimeout(round, leastMs + Math.random() * (mostMs - leastMs))
    await new Promise<void>((resolve, reject) => waiting.push(() => work().then(resolve, reject)))
    const gone = performance.now() - beganAt
    await delay(Math.ceil(gone / tickMs) * tickMs - gone)
  }
}
