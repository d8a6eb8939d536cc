/** What waits, by whose it is: the path goes from the widest share to the narrowest, such as an IPv6 /48, /56 and /64. */
export interface Turns<T> {
  readonly size: number
  join(path: readonly string[], item: T): void
  /** Shares take turns, within each the shares of the next step, and within the last one the first that came. */
  next(): T | undefined
  /**
   * Takes out the last one of a share that has more waiting than the newcomer's would have; null where there is none. Whoever
   * floods the line loses places to others, on every step of the path.
   */
  makeRoom(path: readonly string[]): T | null
}

interface Share<T> {
  size: number
  /** In the order of their turns. */
  readonly shares: Map<string, Share<T>>
  /** Of the last step. */
  readonly items: T[]
}

const newShare = <T>(): Share<T> => ({ size: 0, shares: new Map(), items: [] })

export function createTurns<T>(): Turns<T> {
  const all = newShare<T>()
  return {
    get size() {
      return all.size
    },
    join: (path, item) => join(all, path, item),
    next: () => next(all),
    makeRoom: (path) => makeRoom(all, path),
  }
}

function join<T>(share: Share<T>, [step, ...rest]: readonly string[], item: T): void {
  share.size += 1
  if (step === undefined) {
    share.items.push(item)
    return
  }
  const inner = share.shares.get(step) ?? newShare<T>()
  share.shares.set(step, inner)
  join(inner, rest, item)
}

function next<T>(share: Share<T>): T | undefined {
  if (share.size === 0) return undefined
  share.size -= 1
  const [first] = share.shares
  if (first === undefined) return share.items.shift()
  const [step, inner] = first
  const item = next(inner)
  share.shares.delete(step)
  if (inner.size > 0) share.shares.set(step, inner)
  return item
}

function makeRoom<T>(share: Share<T>, [step, ...rest]: readonly string[]): T | null {
  if (step === undefined) return null
  const own = share.shares.get(step)
  const most = largest(share)
  const isOthers = most !== null && most[1].size > (own?.size ?? 0) + 1
  const item = isOthers ? last(share) : own === undefined ? null : makeRoom(own, rest)
  if (item !== null && !isOthers) share.size -= 1
  return item
}

function largest<T>({ shares }: Share<T>): readonly [step: string, share: Share<T>] | null {
  let most: readonly [string, Share<T>] | null = null
  for (const entry of shares) if (most === null || entry[1].size > most[1].size) most = entry
  return most
}

/** Takes out the last one of the largest share. */
function last<T>(share: Share<T>): T | null {
  share.size -= 1
  const most = largest(share)
  if (most === null) return share.items.pop() ?? null
  const [step, inner] = most
  const item = last(inner)
  if (inner.size === 0) share.shares.delete(step)
  return item
}
