export type ByteBudget = ReturnType<typeof createByteBudget>

/**
 * Shares memory among holders: one may hold no more than stays free. Alone it gets half, two get a third each, and the next
 * one always finds some. One that holds nothing may take all that is free, and a piece of any size when nobody holds anything.
 */
export function createByteBudget(total: number) {
  const heldBy = new Map<string, number>()
  let held = 0

  const change = (holder: string, bytes: number): void => {
    const now = (heldBy.get(holder) ?? 0) + bytes
    held += bytes
    if (now === 0) heldBy.delete(holder)
    else heldBy.set(holder, now)
  }

  /** The largest piece that it may take now. */
  const room = (holder: string | null): number => {
    if (held === 0) return Number.MAX_SAFE_INTEGER
    const own = holder === null ? 0 : (heldBy.get(holder) ?? 0)
    return Math.max(0, own === 0 ? total - held : Math.floor((total - held - own) / 2))
  }

  return {
    room,
    take: (holder: string, bytes: number): boolean => {
      if (bytes > room(holder)) return false
      change(holder, bytes)
      return true
    },
    giveBack: (holder: string, bytes: number): void => change(holder, -bytes),
    holders: () => heldBy.keys(),
  }
}
