import { callersNetwork } from '../../platform/network-address.ts'
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
 * turns, each in its own order. One that has most of a full line gives its last place to a network with fewer: who floods
 * the line refuses itself, not others.
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
  // In the order of their turns.
  const shares = new Map<string, Waiter[]>()
  let size = 0

  const largest = (): readonly [share: string, waiters: Waiter[]] | undefined =>
    [...shares].reduce<readonly [string, Waiter[]] | undefined>(
      (most, entry) => (most === undefined || entry[1].length > most[1].length ? entry : most),
      undefined,
    )

  /** Refuses the newcomer, or the last of the network that has more places than the newcomer's would. */
  const makeRoom = (share: string, newcomer: Waiter): boolean => {
    const most = largest()
    const full = unavailable('Too many people are signing in just now. Try again in a moment.')
    if (most === undefined || most[1].length <= (shares.get(share)?.length ?? 0) + 1) {
      newcomer.refuse(full)
      return false
    }
    most[1].pop()?.refuse(full)
    size -= 1
    return true
  }

  return {
    join: (share: string, waiter: Waiter): void => {
      if (size >= maxWaiting && !makeRoom(share, waiter)) return
      const waiters = shares.get(share)
      if (waiters === undefined) shares.set(share, [waiter])
      else waiters.push(waiter)
      size += 1
    },
    next: (): Waiter | undefined => {
      const [entry] = shares
      if (entry === undefined) return undefined
      const [share, waiters] = entry
      const waiter = waiters.shift()
      size -= 1
      shares.delete(share)
      if (waiters.length > 0) shares.set(share, waiters)
      return waiter
    },
  }
}
