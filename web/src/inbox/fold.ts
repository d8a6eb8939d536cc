import type { Request } from '../api/requests.ts'
import { isRisky } from '../deciding/rules.ts'

/** So many identical requests that follow one another are one row, with a line that says how many more there are. */
export const fewestFolded = 3

/** A row that stands for others like it. */
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

/** As the service compares them: asked by the same agent, with the same digest. Each of high risk and above is a row of its own. */
const isAlike = (one: Request, other: Request): boolean =>
  one.digest === other.digest && one.agent_id === other.agent_id && !isRisky(one)

/** The list with identical neighbours folded; those that the person unfolded, and those that are being read, are not. */
export function foldAlike(
  requests: readonly Request[],
  unfolded: ReadonlySet<string>,
  current: string | undefined,
): Folded {
  const shown: Request[] = []
  const folds = new Map<string, Fold>()
  for (let at = 0; at < requests.length; ) {
    const first = requests[at] as Request
    let end = at + 1
    while (end < requests.length && isAlike(requests[end] as Request, first)) end += 1
    const count = end - at - 1
    if (count + 1 < fewestFolded) {
      shown.push(...requests.slice(at, end))
    } else {
      const run = requests.slice(at, end)
      const kind = `${first.agent_id} ${first.digest}`
      const isOpen = unfolded.has(kind) || run.some(({ id }, place) => place > 0 && id === current)
      shown.push(...(isOpen ? run : [first]))
      folds.set(first.id, { kind, count, isOpen })
    }
    at = end
  }
  return { shown, folds }
}
