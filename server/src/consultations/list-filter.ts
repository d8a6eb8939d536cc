import type { Decider, Sort, State } from './consultation.ts'
import type { Decision } from './questions/question.ts'
import type { Priority, Risk } from './questions/tiers.ts'
import type { Search } from './search/query.ts'

/** The last request of a page, or the last one that was looked at. */
export interface Place {
  readonly id: string
  /** In the list by `due`; null: it never times out. */
  readonly due: Date | null
  /** In the list by `priority`: how many are more urgent. By `relevance`: how well it matches; null: all that `window` has. */
  readonly rank: number | null
  /** In the list by `relevance`: the newest matches below this id are ordered. */
  readonly window: string | null
}

/** What one person put aside, as of `now`. */
export interface Aside {
  readonly userId: string
  readonly now: Date
  /** Only these; false: all but these. */
  readonly isWanted: boolean
}

/** Filters without an index of their own: `list` looks through as many requests as `mostLooked`, in the order of the list. */
export interface LookedFilter {
  readonly createdAfter: Date | null
  readonly createdBefore: Date | null
  readonly dueBefore: Date | null
  /** Members of `metadata`, and their values as text. */
  readonly metadata: readonly (readonly [name: string, value: string])[]
  /** Any of them. */
  readonly tags: readonly string[] | null
  readonly answered: Answered | null
}

/** How a request was decided; null: in any way. */
export interface Answered {
  readonly decision: Decision | null
  readonly decidedBy: Decider | null
  readonly responderId: string | null
  readonly after: Date | null
  readonly before: Date | null
  /** For its agent, which does not know of a decision that is held back. */
  readonly isReleased: boolean
}

export interface ListFilter extends LookedFilter {
  readonly organizationId: string
  /** Only requests of this agent. */
  readonly agentId: string | null
  /** Any of them; null: all. */
  readonly states: readonly State[] | null
  readonly priorities: readonly Priority[] | null
  readonly risks: readonly Risk[] | null
  readonly runId: string | null
  readonly aside: Aside | null
  readonly search: Search | null
  readonly updatedAfter: Date | null
  /** With `updatedAfter`: what changed later is not shown yet. */
  readonly updatedUntil: Date | null
  readonly sort: Sort
  /** Only what comes after it: the cursor. */
  readonly after: Place | null
  readonly limit: number
  readonly offset: number
  /** `{}` instead of large contents. */
  readonly light: boolean
}
