import { queryOptions } from '@tanstack/react-query'
import { api, type Schemas } from './client.ts'
import { queryClient } from './query-client.ts'
import { granted } from './refused.ts'

export type SavedView = Schemas['SavedView']

const of = (id: string) => ({ params: { path: { id } } })

export const viewsQuery = queryOptions({
  queryKey: ['views'],
  queryFn: async ({ signal }) => (await granted(api.GET('/api/v1/views', { signal }))).items,
  staleTime: 60_000,
})

export const viewCountQuery = (id: string, query: string) =>
  queryOptions({
    queryKey: ['view-count', id, query],
    queryFn: ({ signal }) => granted(api.GET('/api/v1/views/{id}/count', { ...of(id), signal })),
    // Nobody tells of what comes into a view or leaves it.
    refetchInterval: 30_000,
  })

const changed = async <T>(call: Promise<T>): Promise<T> => {
  const result = await call
  await queryClient.invalidateQueries({ queryKey: viewsQuery.queryKey })
  return result
}

export const saveView = (body: Schemas['SaveView']): Promise<SavedView> =>
  changed(granted(api.POST('/api/v1/views', { body })))

export const changeView = (id: string, body: Schemas['SaveView']): Promise<SavedView> =>
  changed(granted(api.PUT('/api/v1/views/{id}', { ...of(id), body })))

export const deleteView = (id: string): Promise<unknown> => changed(granted(api.DELETE('/api/v1/views/{id}', of(id))))
