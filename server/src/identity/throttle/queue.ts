import { createTurns } from '../../platform/limits/turns.ts'
import { callersNetwork, networksOf } from '../../platform/network-address.ts'
import { unavailable } from '../../platform/problem.ts'

/** Who waits for a turn. */
export interface Turn {
  /** Turns are shared out evenly between networks: `request.client.network`, or an address. */
  readonly share: string
  /** Has a line of its own beside the strangers', as long and served as often. */
  readonly known: boolean
}

interface Waiter {
  readonly go: () => void
  readonly refuse: (error: unknown) => void
}

/**
 * A bounded queue for work that takes long: at most `parallel` at once, at most `maxWaiting` in either line. Networks take
 * turns, in IPv6 the /48s, within each its /56s and within those their /64s, each in its own order. One that has most of a
 * full line gives its last place to a network with fewer: a flood refuses itself, not others.
 */
export function createFairQueue(parallel: number, maxWaiting: number) {
  const known = createLine(maxWaiting)
  const strangers = createLine(maxWaiting)
  let running = 0
  let knownNext = true

  const next = (): Waiter | undefined => {
    const [first, second] = knownNext ? [known, strangers] : [strangers, known]
    knownNext = !knownNext
    return first.next() ?? second.next()
  }

  return {
    inTurn: async <T>(turn: Turn, work: () => Promise<T>): Promise<T> => {
      if (running < parallel) running += 1
      else {
        await new Promise<void>((go, refuse) =>
          (turn.known ? known : strangers).join(callersNetwork(turn.share), { go, refuse }),
        )
      }
      try {
        return await work()
      } finally {
        const waiter = next()
        if (waiter === undefined) running -= 1
        else waiter.go()
      }
    },
  }
}

function createLine(maxWaiting: number) {
  const turns = createTurns<Waiter>()
  return {
    join: (network: string, waiter: Waiter): void => {
      const path = networksOf(network).toReversed()
      if (turns.size >= maxWaiting) {
        const out = turns.makeRoom(path)
        const full = unavailable('Too many people are signing in just now. Try again in a moment.')
        ;(out ?? waiter).refuse(full)
        if (out === null) return
      }
      turns.join(path, waiter)
    },
    next: turns.next,
  }
}
