import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query'
import { api, type Schemas } from './client.ts'
import { newer } from './newer.ts'
import { queryClient } from './query-client.ts'
import { granted } from './refused.ts'
import { fetchSoon } from './step-up.ts'

export type Request = Schemas['Request']
export type RequestPage = Schemas['RequestPage']
export type Answer = Schemas['Answer']

export const pageSize = 100

/** What a list asks for. */
export interface ListQuery {
  readonly queue?: Schemas['Queue']
  readonly sort: 'due' | 'newest'
}

/** The pages of a list that were scrolled to, by its name, and by its filters where it has any. */
export const listQuery = (name: string, query: ListQuery, filters: Readonly<Record<string, string>> = {}) =>
  infiniteQueryOptions({
    queryKey: Object.keys(filters).length === 0 ? ['requests', name] : ['requests', name, filters],
    queryFn: ({ pageParam, signal }) => {
      const cursor = pageParam === null ? {} : { cursor: pageParam }
      const given = { ...query, ...filters, limit: pageSize, ...cursor }
      return granted(api.GET('/api/v1/requests', { params: { query: given }, signal }))
    },
    initialPageParam: null as string | null,
    getNextPageParam: ({ next_cursor }: RequestPage) => next_cursor,
    // Comparing a hundred thousand requests with what they were costs more than drawing the twenty that are seen.
    structuralSharing: false,
    // Changes arrive through live/ and are written into the pages.
    staleTime: Number.POSITIVE_INFINITY,
    // Except what comes into a list by the time alone, of which nobody tells.
    refetchInterval: query.queue === 'due_soon' ? 60_000 : false,
    gcTime: 600_000,
  })

/** As the service takes it, with room for the star. */
export const longestSearch = 199

export type Highlight = NonNullable<RequestPage['matches']>[number]['highlights'][number]

/** The word at the end may not be finished. */
export function asTyped(text: string): string {
  const isQuoted = text.split('"').length % 2 === 0
  return !isQuoted && /[\p{L}\p{M}\p{N}]$/u.test(text) ? `${text}*` : text
}

/** What of a queue contains the words of `text`, the best match first. A search that another one overtook is given up. */
export const searchQuery = (
  { queue }: ListQuery,
  // The best match is first, whatever order the list has.
  { sort: _sort, ...filters }: Readonly<Record<string, string>>,
  text: string,
) =>
  infiniteQueryOptions({
    queryKey: ['search', queue ?? null, text, filters],
    queryFn: ({ pageParam, signal }) => {
      const given = {
        ...filters,
        q: asTyped(text),
        limit: searchedAtOnce,
        ...(queue === undefined ? {} : { queue }),
        ...(pageParam === null ? {} : { cursor: pageParam }),
      }
      return granted(api.GET('/api/v1/requests', { params: { query: given }, signal }))
    },
    initialPageParam: null as string | null,
    getNextPageParam: ({ next_cursor }: RequestPage) => next_cursor,
    structuralSharing: false,
    // What was found stays until more letters have found something else.
    placeholderData: keepPreviousData,
    staleTime: 5_000,
    gcTime: 60_000,
  })

/** Fewer than a list has: letters are typed faster than hundreds of rows are read. */
const searchedAtOnce = 50

export const requestQuery = (id: string) =>
  queryOptions({
    queryKey: ['request', id],
    queryFn: ({ signal }) => granted(api.GET('/api/v1/requests/{id}', { params: { path: { id } }, signal })),
    staleTime: 15_000,
  })

/** `byStepUp`: the person proves themselves for this call instead of typing the target's name; the service says how. */
export const sendAnswer = (id: string, body: Answer, key: string, byStepUp: boolean) =>
  granted(
    api.POST('/api/v1/requests/{id}/respond', {
      params: { path: { id }, header: { 'idempotency-key': key } },
      // Any value makes the service ask for the proof; the token of it takes its place (step-up.ts).
      ...(byStepUp ? { headers: { 'x-step-up': 'asked' } } : {}),
      body,
      fetch: fetchSoon,
    }),
  )

export const takeBack = (id: string) =>
  granted(api.POST('/api/v1/requests/{id}/undo', { params: { path: { id } }, fetch: fetchSoon }))

/** Lists leave large parts out. A person reads, and decides about, the whole. */
export const isWhole = (request: Request): boolean =>
  request.context_truncated !== true &&
  request.action_truncated !== true &&
  request.answer_truncated !== true &&
  request.presentation_truncated !== true &&
  request.response_truncated !== true

/** Writes a newer version of a request over what the caches hold; where parts of it are left out, it is read again. */
export function remember(request: Request): void {
  if (!isWhole(request)) {
    void queryClient.invalidateQueries({ queryKey: ['request', request.id] })
    return
  }
  queryClient.setQueryData<Request>(['request', request.id], (before) => newer(before, request))
}
