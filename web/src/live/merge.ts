import type { InfiniteData } from '@tanstack/react-query'
import { newer } from '../api/newer.ts'
import type { Request, RequestPage } from '../api/requests.ts'

/** How a list takes a request in that it does not hold. */
export interface ListRules {
  readonly name: string
  readonly fits: (request: Request, now: Date) => boolean
  /** The order of the service. */
  readonly compare: (one: Request, other: Request) => number
}

export type Pages = InfiniteData<RequestPage, string | null>

/** The pages with the changed requests: those they hold stay in their place, new ones go where their order puts them. */
export function withChanges(data: Pages, changed: readonly Request[], { fits, compare }: ListRules, now: Date): Pages {
  const byId = new Map(changed.map((request) => [request.id, request]))
  const pages = data.pages.map((page) => {
    if (!page.items.some(({ id }) => byId.has(id))) return page
    const items = page.items.map((before) => {
      const after = byId.get(before.id)
      byId.delete(before.id)
      return after === undefined ? before : newer(before, after)
    })
    return { ...page, items }
  })
  for (const request of byId.values()) {
    if (!fits(request, now)) continue
    const isBefore = (other: Request | undefined): boolean => other !== undefined && compare(request, other) < 0
    // Pages are in order as well, apart from requests that stayed in their place, so the last of a page tells for all of it.
    const at = pages.findIndex(({ items }) => isBefore(items.at(-1)))
    const last = pages.length - 1
    // Behind everything that is loaded: it comes with a page to come, unless there is none.
    const index = at === -1 && pages[last]?.next_cursor === null ? last : at
    const page = pages[index]
    if (page === undefined) continue
    const before = page.items.findIndex(isBefore)
    const position = before === -1 ? page.items.length : before
    pages[index] = { ...page, items: page.items.toSpliced(position, 0, request) }
  }
  return { ...data, pages }
}
