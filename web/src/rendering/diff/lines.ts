import { diffArrays } from 'diff'

/** A line of a comparison, by its numbers on both sides. */
export interface DiffLine {
  readonly kind: 'same' | 'added' | 'removed' | 'note'
  readonly text: string
  readonly before: number | null
  readonly after: number | null
  /** The line on the other side that it is a changed form of. */
  readonly pair: string | null
}

export interface Comparison {
  readonly lines: readonly DiffLine[]
  /** The two were too different to be compared in the time there is: one stands whole behind the other. */
  readonly isCoarse: boolean
}

const linesOf = (text: string): readonly string[] => (text === '' ? [] : text.replace(/\r?\n$/, '').split(/\r?\n/))

/** What both begin and end with is set aside first, so that a change in a long file costs what the change does. */
export function compare(before: string, after: string, timeoutMs: number): Comparison {
  const [a, b] = [linesOf(before), linesOf(after)]
  const shorter = Math.min(a.length, b.length)
  let start = 0
  while (start < shorter && a[start] === b[start]) start += 1
  let end = 0
  while (end < shorter - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1
  const [left, right] = [a.slice(start, a.length - end), b.slice(start, b.length - end)]
  const changes = diffArrays(left as string[], right as string[], { timeout: timeoutMs })
  const lines: DiffLine[] = []
  const place = { before: 0, after: 0 }
  const same = (text: string): void => {
    place.before += 1
    place.after += 1
    lines.push({ kind: 'same', text, before: place.before, after: place.after, pair: null })
  }
  for (const text of a.slice(0, start)) same(text)
  const parts = changes ?? [
    { removed: true, added: false, value: left },
    { removed: false, added: true, value: right },
  ]
  parts.forEach(({ removed, added, value }, at) => {
    if (removed) {
      const next = parts[at + 1]
      pushBlock(lines, place, value, next?.added ? next.value : [])
    } else if (added) {
      // With what it replaces, if there is that.
      if (!parts[at - 1]?.removed) pushBlock(lines, place, [], value)
    } else for (const text of value) same(text)
  })
  for (const text of a.slice(a.length - end)) same(text)
  return { lines, isCoarse: changes === undefined }
}

function pushBlock(
  lines: DiffLine[],
  place: { before: number; after: number },
  removed: readonly string[],
  added: readonly string[],
): void {
  // Lines in the same place of a block are forms of one another; in blocks of other sizes that is a guess for the first ones.
  removed.forEach((text, at) => {
    place.before += 1
    lines.push({ kind: 'removed', text, before: place.before, after: null, pair: added[at] ?? null })
  })
  added.forEach((text, at) => {
    place.after += 1
    lines.push({ kind: 'added', text, before: null, after: place.after, pair: removed[at] ?? null })
  })
}

/** The lines of a unified diff, as the agent sent it. */
export function readPatch(patch: string): readonly DiffLine[] {
  const lines: DiffLine[] = []
  let [before, after, inHunk] = [0, 0, false]
  let left = { before: 0, after: 0 }
  for (const text of patch.replace(/\r?\n$/, '').split(/\r?\n/)) {
    const hunk = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/.exec(text)
    if (hunk !== null) {
      before = Number(hunk[1])
      after = Number(hunk[3])
      left = { before: Number(hunk[2] ?? 1), after: Number(hunk[4] ?? 1) }
      inHunk = true
    }
    const sign = text[0] ?? ' '
    const isLine = inHunk && hunk === null && (left.before > 0 || left.after > 0) && ' +-'.includes(sign)
    if (!isLine) {
      if (hunk === null && !text.startsWith('\\')) inHunk = false
      lines.push({ kind: 'note', text, before: null, after: null, pair: null })
      continue
    }
    const isBefore = sign !== '+'
    const isAfter = sign !== '-'
    lines.push({
      kind: sign === '+' ? 'added' : sign === '-' ? 'removed' : 'same',
      text: text.slice(1),
      before: isBefore ? before : null,
      after: isAfter ? after : null,
      pair: null,
    })
    before += isBefore ? 1 : 0
    after += isAfter ? 1 : 0
    left = { before: left.before - (isBefore ? 1 : 0), after: left.after - (isAfter ? 1 : 0) }
  }
  return paired(lines)
}

function paired(lines: readonly DiffLine[]): readonly DiffLine[] {
  const found = [...lines]
  for (let at = 0; at < lines.length; ) {
    if (lines[at]?.kind !== 'removed') {
      at += 1
      continue
    }
    let mid = at
    while (lines[mid]?.kind === 'removed') mid += 1
    let end = mid
    while (lines[end]?.kind === 'added') end += 1
    for (let step = 0; step < Math.min(mid - at, end - mid); step += 1) {
      const [old, now] = [lines[at + step] as DiffLine, lines[mid + step] as DiffLine]
      found[at + step] = { ...old, pair: now.text }
      found[mid + step] = { ...now, pair: old.text }
    }
    at = end
  }
  return found
}
