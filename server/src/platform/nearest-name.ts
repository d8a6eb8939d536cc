/** Longer names are compared with nothing: the time grows with the product of both lengths. */
const maxLength = 64

/**
 * The known name that was probably meant: a slip or two away, or the same words with more behind them. Null when none is near.
 * With `mostSlips`, never more than these, and in words of four letters or more.
 */
export function nearestName(name: string, known: readonly string[], mostSlips?: number): string | null {
  if (name.length > maxLength) return null
  const given = plain(name)
  if (mostSlips !== undefined && given.length < 4) return null
  let best: string | null = null
  let least = (mostSlips ?? Math.max(1, Math.floor(given.length / 3))) + 1
  for (const candidate of known) {
    const wanted = plain(candidate)
    const goesOn = mostSlips === undefined && given.length > 3 && wanted.startsWith(given)
    const slips = goesOn ? 1 : Math.abs(wanted.length - given.length) < least ? slipsBetween(given, wanted) : least
    if (slips < least) {
      least = slips
      best = candidate
    }
  }
  return best
}

const plain = (name: string): string => name.toLowerCase().replaceAll(/[_-]/g, '')

/** How many letters were left out, put in, mistaken or swapped with their neighbour. */
function slipsBetween(a: string, b: string): number {
  let before: readonly number[] = []
  let row: readonly number[] = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1]
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      const slips = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (same ? 0 : 1))
      next.push(swapped ? Math.min(slips, (before[j - 2] ?? 0) + 1) : slips)
    }
    before = row
    row = next
  }
  return row.at(-1) ?? 0
}
