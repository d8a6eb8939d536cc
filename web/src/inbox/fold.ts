import { kindOf } from '../api/identical.ts'
import type { Request } from '../api/requests.ts'
import { isRisky } from '../deciding/rules.ts'

/** So many identical requests that follow one another are one row, with a line that says how many more there are. */
export const fewestFolded = 3

/** The line below a row that stands for others like it. */
export interface Fold {
  /** What the person unfolds: all that is asked by this agent with this digest. */
  readonly kind: string
  readonly count: number
  readonly isOpen: boolean
}

export interface Folded {
  readonly shown: readonly Request[]
  /** By the id of the first of them. */
  readonly folds: ReadonlyMap<string, Fold>
}

/** Without a text for each comparison, because a list may have ten thousand. Each of high risk and above is a row of its own. */
const isAlike = (one: Request, other: Request): boolean =>
  one.digest === other.digest && one.agent_id === other.agent_id && !isRisky(one)

/** A list in parts: identical neighbours, and what is between them. */
export interface Runs {
  readonly runs: readonly (readonly [Request, ...Request[]])[]
  /** The kinds of what a fold hides, by id. */
  readonly hidden: ReadonlyMap<string, string>
}

export function runsOf(requests: readonly Request[]): Runs {
  const runs: [Request, ...Request[]][] = []
  for (const request of requests) {
    const last = runs.at(-1)
    if (last !== undefined && isAlike(request, last[0])) last.push(request)
    else runs.push([request])
  }
  const hidden = runs.flatMap(([first, ...more]) =>
    more.length + 1 < fewestFolded ? [] : more.map(({ id }) => [id, kindOf(first)] as const),
  )
  return { runs, hidden: new Map(hidden) }
}

/** `read`: the kind of what is read and would be hidden; these are all shown, and cannot be folded meanwhile. */
export function foldAlike({ runs }: Runs, unfolded: ReadonlySet<string>, read: string | undefined): Folded {
  const folds = new Map<string, Fold>()
  const shown = runs.flatMap((run) => {
    const [first] = run
    if (run.length < fewestFolded) return run
    const kind = kindOf(first)
    if (kind === read) return run
    const isOpen = unfolded.has(kind)
    folds.set(first.id, { kind, count: run.length - 1, isOpen })
    return isOpen ? run : [first]
  })
  return { shown, folds }
}
