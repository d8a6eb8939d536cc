import { diffWordsWithSpace } from 'diff'
import type { DiffLine } from './lines.ts'

/** What is drawn in one row. */
export type Row =
  | { readonly is: 'line'; readonly line: DiffLine }
  | { readonly is: 'pair'; readonly before: DiffLine | null; readonly after: DiffLine | null }
  | { readonly is: 'fold'; readonly from: number; readonly count: number }

/** Lines of what stayed the same around each change. */
const around = 3
/** Folding fewer would save nothing. */
const fewest = 4

/** `unfolded`: the first lines of folds that were opened. */
export function rowsOf(
  lines: readonly DiffLine[],
  mode: 'unified' | 'split',
  unfolded: ReadonlySet<number>,
): readonly Row[] {
  const rows: Row[] = []
  for (const [from, to, isFolded] of stretches(lines)) {
    if (isFolded && !unfolded.has(from)) rows.push({ is: 'fold', from, count: to - from })
    else if (mode === 'unified')
      for (let at = from; at < to; at += 1) rows.push({ is: 'line', line: lines[at] as DiffLine })
    else rows.push(...sideBySide(lines.slice(from, to)))
  }
  return rows
}

function stretches(lines: readonly DiffLine[]): readonly (readonly [number, number, boolean])[] {
  const found: [number, number, boolean][] = []
  const keep = (from: number, to: number): void => {
    if (from < to) found.push([from, to, false])
  }
  let at = 0
  let shownFrom = 0
  while (at < lines.length) {
    if (lines[at]?.kind !== 'same') {
      at += 1
      continue
    }
    let end = at
    while (lines[end]?.kind === 'same') end += 1
    const from = at === 0 ? 0 : at + around
    const to = end === lines.length ? end : end - around
    if (to - from >= fewest) {
      keep(shownFrom, from)
      found.push([from, to, true])
      shownFrom = to
    }
    at = end
  }
  keep(shownFrom, lines.length)
  return found
}

function sideBySide(lines: readonly DiffLine[]): readonly Row[] {
  const rows: Row[] = []
  for (let at = 0; at < lines.length; ) {
    const line = lines[at] as DiffLine
    if (line.kind === 'note') {
      rows.push({ is: 'line', line })
      at += 1
    } else if (line.kind === 'same') {
      rows.push({ is: 'pair', before: line, after: line })
      at += 1
    } else {
      let mid = at
      while (lines[mid]?.kind === 'removed') mid += 1
      let end = mid
      while (lines[end]?.kind === 'added') end += 1
      for (let step = 0; step < Math.max(mid - at, end - mid); step += 1) {
        const [before, after] = [at + step < mid ? lines[at + step] : null, mid + step < end ? lines[mid + step] : null]
        rows.push({ is: 'pair', before: before ?? null, after: after ?? null })
      }
      at = end
    }
  }
  return rows
}

const isChange = (row: Row | undefined): boolean =>
  row?.is === 'line'
    ? row.line.kind === 'added' || row.line.kind === 'removed'
    : row?.is === 'pair' && (row.before?.kind !== 'same' || row.after?.kind !== 'same')

/** The first row of each change. */
export const hunksOf = (rows: readonly Row[]): readonly number[] =>
  rows.flatMap((row, at) => (isChange(row) && !isChange(rows[at - 1]) ? [at] : []))

export interface Part {
  readonly text: string
  readonly isChanged: boolean
}

/** Longer lines are shown as changed whole. */
const longestCompared = 600

/** The line in parts: what of it is not in its other form. */
export function partsOf({ kind, text, pair }: DiffLine): readonly Part[] {
  const whole = [{ text, isChanged: false }]
  if (pair === null || text.length + pair.length > longestCompared) return whole
  const [before, after] = kind === 'removed' ? [text, pair] : [pair, text]
  const changes = diffWordsWithSpace(before, after)
  const mine = changes.filter(({ added, removed }) => (kind === 'removed' ? !added : !removed))
  const kept = mine
    .filter(({ added, removed }) => !added && !removed)
    .reduce((sum, { value }) => sum + value.trim().length, 0)
  // Where hardly anything stayed, it is another line, and marking its every word would be noise.
  if (kept * 5 < text.trim().length) return whole
  return mine.map(({ value, added, removed }) => ({ text: value, isChanged: added || removed }))
}
