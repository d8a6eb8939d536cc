import { longestSearch } from '../api/requests.ts'

/** What of a list is shown, and in which order, as the address and the service name it. */
export type Filters = Readonly<Record<string, string>>

/** In the order in which they are told. */
export const filterNames = [
  'risk',
  'priority',
  'agent',
  'tag',
  'run_id',
  'state',
  'created_after',
  'created_before',
  'due_before',
  'decision',
  'responded_by',
  'responded_after',
  'responded_before',
  'sort',
  'q',
] as const
export type FilterName = (typeof filterNames)[number]

/** What an address of the inbox has beside its filters: the queue is its path, and pages of a list are turned by scrolling. */
const others: ReadonlySet<string> = new Set(['queue', 'limit', 'offset', 'cursor', 'fields', 'updated_after'])
/** Also those that the inbox has no words for: a list that left one out would show more than its view is for. */
const isFilter = (name: string): boolean => !others.has(name)

/** Those of an address. What the service does not take, it refuses in words. */
export function filtersOf(search: Readonly<Record<string, unknown>>): Filters {
  const given = Object.entries(search).filter(
    ([name, value]) => isFilter(name) && ['string', 'number', 'boolean'].includes(typeof value),
  )
  return Object.fromEntries(
    given.flatMap(([name, value]) => {
      // A search for nothing yet is a box that is open.
      if (name === 'q') return [[name, String(value).slice(0, longestSearch)]]
      return value === '' ? [] : [[name, String(value)]]
    }),
  )
}

/** The day of a time, where the person is, as an input takes it; empty for what is none. */
export function dayOf(instant = ''): string {
  const time = new Date(instant)
  if (Number.isNaN(time.getTime())) return ''
  const two = (part: number): string => String(part).padStart(2, '0')
  return `${String(time.getFullYear()).padStart(4, '0')}-${two(time.getMonth() + 1)}-${two(time.getDate())}`
}

/** When a day begins, where the person is. */
export const instantOf = (day: string): string => new Date(`${day}T00:00`).toISOString()

export const isFiltered = (filters: Filters): boolean => Object.keys(filters).length > 0
