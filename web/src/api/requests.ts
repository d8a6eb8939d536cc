import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
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

/** The pages of a list that were scrolled to, by its name. */
export const listQuery = (name: string, query: ListQuery) =>
  infiniteQueryOptions({
    queryKey: ['requests', name],
    queryFn: ({ pageParam, signal }) => {
      const cursor = pageParam === null ? {} : { cursor: pageParam }
      const given = { ...query, limit: pageSize, ...cursor }
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
