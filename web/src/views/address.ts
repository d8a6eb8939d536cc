import { type Filters, filtersOf } from './filters.ts'

/** A list with its filters, as a saved view keeps it. */
export interface Address {
  /** Of the inbox; null: every request. */
  readonly queue: string | null
  readonly filters: Filters
}

export function addressOf(query: string): Address {
  const { queue = null, ...rest } = Object.fromEntries(new URLSearchParams(query))
  return { queue, filters: filtersOf(rest) }
}

/** The same list has the same text, in whatever order it was put together. */
export function queryOf({ queue, filters }: Address): string {
  const all = Object.entries({ ...(queue === null ? {} : { queue }), ...filters })
  return new URLSearchParams(all.toSorted(([one], [other]) => (one < other ? -1 : 1))).toString()
}

export const sameQuery = (one: string, other: string): boolean =>
  one === other || queryOf(addressOf(one)) === queryOf(addressOf(other))
