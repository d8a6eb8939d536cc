export type ByteBudget = ReturnType<typeof createByteBudget>

/**
 * Shares memory among holders: a holder may hold no more than stays free. Alone it gets half, two get a third each, and the
 * next one always finds some. Whoever holds nothing may take up to what is free, so that the largest single piece fits.
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

  return {
    /** Returns a function that gives the bytes back; null when there is no room. */
    take: (holder: string, bytes: number): (() => void) | null => {
      const own = heldBy.get(holder) ?? 0
      const isFirst = own === 0 && (held === 0 || held + bytes <= total)
      if (!isFirst && own + bytes > total - held - bytes) return null
      change(holder, bytes)
      let isHeld = true
      return () => {
        if (isHeld) change(holder, -bytes)
        isHeld = false
      }
    },
  }
}
