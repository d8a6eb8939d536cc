import { isObject, type Place, pointerOf } from './json-pointer.ts'

/** RFC 6902, of which these three are enough to lead from any value to any other. */
export type Operation =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string }

/**
 * What leads from `before` to `after`, in the order to apply it. Of lists the equal beginnings and ends are left alone, and what
 * is between is compared entry by entry: the shortest patch would take time with the square of their length.
 */
export function patchBetween(before: unknown, after: unknown): readonly Operation[] {
  const operations: Operation[] = []
  compare(before, after, [], { operations, names: createNames() })
  return operations
}

interface Found {
  readonly operations: Operation[]
  readonly names: (value: unknown) => string
}

/**
 * Gives equal values equal names, each value once: comparing the entries of lists within lists anew at every level would take time
 * with the square of their depth.
 */
function createNames(): Found['names'] {
  const numbers = new Map<string, number>()
  const known = new WeakMap<object, string>()
  const nameOf = (value: unknown): string => {
    if (typeof value !== 'object' || value === null) return JSON.stringify(value)
    const earlier = known.get(value)
    if (earlier !== undefined) return earlier
    const text = Array.isArray(value)
      ? `[${value.map(nameOf).join()}`
      : `{${Object.entries(value)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([name, member]) => `${JSON.stringify(name)}:${nameOf(member)}`)
          .join()}`
    const number = numbers.get(text) ?? numbers.size
    numbers.set(text, number)
    known.set(value, `#${number}`)
    return `#${number}`
  }
  return nameOf
}

function compare(before: unknown, after: unknown, place: Place, found: Found): void {
  if (before === after) return
  if (Array.isArray(before) && Array.isArray(after)) compareLists(before, after, place, found)
  else if (isObject(before) && isObject(after)) compareObjects(before, after, place, found)
  else found.operations.push({ op: 'replace', path: pointerOf(place), value: after })
}

type Members = Readonly<Record<string, unknown>>

function compareObjects(before: Members, after: Members, place: Place, found: Found): void {
  for (const name of Object.keys(before)) {
    if (!Object.hasOwn(after, name)) found.operations.push({ op: 'remove', path: pointerOf([...place, name]) })
    else compare(before[name], after[name], [...place, name], found)
  }
  for (const name of Object.keys(after)) {
    if (!Object.hasOwn(before, name))
      found.operations.push({ op: 'add', path: pointerOf([...place, name]), value: after[name] })
  }
}

function compareLists(before: readonly unknown[], after: readonly unknown[], place: Place, found: Found): void {
  const { names } = found
  const shorter = Math.min(before.length, after.length)
  let start = 0
  while (start < shorter && names(before[start]) === names(after[start])) start += 1
  let end = 0
  while (end < shorter - start && names(before.at(-1 - end)) === names(after.at(-1 - end))) end += 1
  const [left, wanted] = [before.length - end, after.length - end]
  const both = Math.min(left, wanted)
  for (let at = start; at < both; at += 1) compare(before[at], after[at], [...place, at], found)
  // From the end, so that no removal moves what is to be removed next.
  for (let at = left - 1; at >= both; at -= 1) found.operations.push({ op: 'remove', path: pointerOf([...place, at]) })
  for (let at = both; at < wanted; at += 1)
    found.operations.push({ op: 'add', path: pointerOf([...place, at]), value: after[at] })
}
