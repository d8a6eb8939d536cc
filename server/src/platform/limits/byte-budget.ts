export type ByteBudget = ReturnType<typeof createByteBudget>

/**
 * Shares memory among holders: one may hold no more than stays free. Alone it gets half, two get a third each, and the next
 * one always finds some. One that holds nothing may take all that is free, and a piece of any size when nobody holds anything.
 * What a holder may have is shared in the same way among its members, where they are named.
 */
export function createByteBudget(total: number) {
  const heldBy = new Map<string, number>()
  const heldByMember = new Map<string, number>()
  let held = 0

  const add = (to: Map<string, number>, name: string, bytes: number): void => {
    const now = (to.get(name) ?? 0) + bytes
    if (now === 0) to.delete(name)
    else to.set(name, now)
  }

  const change = (holder: string, bytes: number, member: string | null): void => {
    held += bytes
    add(heldBy, holder, bytes)
    if (member !== null) add(heldByMember, `${holder} ${member}`, bytes)
  }

  /** The largest piece that it may take now. */
  const room = (holder: string | null): number => {
    if (held === 0) return Number.MAX_SAFE_INTEGER
    const own = holder === null ? 0 : (heldBy.get(holder) ?? 0)
    return Math.max(0, own === 0 ? total - held : Math.floor((total - held - own) / 2))
  }

  const roomOfMember = (holder: string, member: string): number => {
    const own = heldByMember.get(`${holder} ${member}`) ?? 0
    return own === 0 ? room(holder) : Math.floor((room(holder) - own) / 2)
  }

  return {
    room,
    take: (holder: string, bytes: number, member: string | null = null): boolean => {
      if (bytes > (member === null ? room(holder) : roomOfMember(holder, member))) return false
      change(holder, bytes, member)
      return true
    },
    /** Takes also what it has no room for, until twice the whole is held: for what cannot be refused any more. */
    overdraw: (holder: string, bytes: number, member: string | null = null): boolean => {
      if (held > 0 && held + bytes > 2 * total) return false
      change(holder, bytes, member)
      return true
    },
    giveBack: (holder: string, bytes: number, member: string | null = null): void => change(holder, -bytes, member),
    holders: () => heldBy.keys(),
  }
}
