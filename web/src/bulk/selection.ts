import type { Request } from '../api/requests.ts'

/** What is selected of a list: pure. */
export interface Selection {
  /** The revision that was painted then, by the request's id. */
  readonly revisions: ReadonlyMap<string, number>
  /** The range that is being drawn, and what was selected before it. */
  readonly range: { readonly from: string; readonly to: string; readonly before: ReadonlyMap<string, number> } | null
}

export const nothingSelected: Selection = { revisions: new Map(), range: null }

/** As many as the service answers in one call. */
export const mostSelected = 200

const withThese = (revisions: ReadonlyMap<string, number>, requests: readonly Request[]) => {
  const next = new Map(revisions)
  for (const { id, revision } of requests) if (next.size < mostSelected || next.has(id)) next.set(id, revision)
  return next
}

export const selected = ({ revisions }: Selection, requests: readonly Request[]): Selection => ({
  revisions: withThese(revisions, requests),
  range: null,
})

/** The next range begins here. */
export function toggled({ revisions }: Selection, request: Request): Selection {
  const before = new Map(revisions)
  const { id } = request
  if (before.delete(id)) return { revisions: before, range: null }
  const next = withThese(revisions, [request])
  return { revisions: next, range: { from: id, to: id, before: revisions } }
}

/**
 * Draws the range to a request: on from where it ended, or a new one from where the person was; null: wherever that is. It
 * shrinks when they come back.
 */
export function extended(
  { revisions, range }: Selection,
  requests: readonly Request[],
  was: string | null,
  to: string,
): Selection {
  const goesOn = range !== null && (was === null || range.to === was)
  const { from, before } = goesOn ? range : { from: was ?? to, before: revisions }
  const place = (id: string): number => requests.findIndex((request) => request.id === id)
  const [start, end] = [place(from), place(to)]
  if (start === -1 || end === -1) return { revisions, range }
  const within = requests.slice(Math.min(start, end), Math.max(start, end) + 1)
  return { revisions: withThese(before, end < start ? within.toReversed() : within), range: { from, to, before } }
}
