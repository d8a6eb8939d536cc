import { queryOptions } from '@tanstack/react-query'
import { api } from './client.ts'
import { granted } from './refused.ts'

export const countsQuery = queryOptions({
  queryKey: ['counts'],
  queryFn: ({ signal }) => granted(api.GET('/api/v1/requests/counts', { signal })),
})

export const organizationQuery = queryOptions({
  queryKey: ['organization'],
  queryFn: ({ signal }) => granted(api.GET('/api/v1/organization', { signal })),
  staleTime: 300_000,
})
