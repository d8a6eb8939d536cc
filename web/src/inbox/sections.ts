import type { Request } from '../api/requests.ts'
import type { Word } from '../words/say.ts'
import type { Fold } from './fold.ts'
import { dueSoonMs } from './queues.ts'

export type Row =
  | { readonly kind: 'section'; readonly key: string; readonly label: Word }
  | { readonly kind: 'item'; readonly key: string; readonly request: Request; readonly index: number }
  | { readonly kind: 'fold'; readonly key: string; readonly fold: Fold }

/** Where a request stands in a list by time left. */
function byDue({ timeout_at }: Request, now: Date, midnight: number): Word {
  if (timeout_at === null) return 'section.no_end'
  const due = Date.parse(timeout_at)
  if (due <= now.getTime() + dueSoonMs) return 'section.due_soon'
  return due <= midnight ? 'section.today' : 'section.later'
}

function byAge({ created_at }: Request, midnight: number): Word {
  const asked = Date.parse(created_at)
  if (asked > midnight - 86_400_000) return 'section.asked_today'
  return asked > midnight - 2 * 86_400_000 ? 'section.asked_yesterday' : 'section.asked_earlier'
}

/**
 * The rows of a list: requests in the service's order, with a heading where the next part of it begins, if that is a time, and a
 * line below those that stand for others.
 */
export function rowsOf(
  requests: readonly Request[],
  folds: ReadonlyMap<string, Fold>,
  sort: string,
  now: Date,
): readonly Row[] {
  const end = new Date(now)
  end.setHours(24, 0, 0, 0)
  const midnight = end.getTime()
  const rows: Row[] = []
  let before: Word | null = null
  for (const [index, request] of requests.entries()) {
    const label =
      sort === 'due'
        ? byDue(request, now, midnight)
        : sort === 'priority' || sort === 'match'
          ? null
          : byAge(request, midnight)
    if (label !== null && label !== before) rows.push({ kind: 'section', key: `${label}${index}`, label })
    before = label
    rows.push({ kind: 'item', key: request.id, request, index })
    const fold = folds.get(request.id)
    if (fold !== undefined) rows.push({ kind: 'fold', key: `fold ${request.id}`, fold })
  }
  return rows
}
