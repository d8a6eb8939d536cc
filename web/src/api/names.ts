import { queryOptions, useQuery } from '@tanstack/react-query'
import { api } from './client.ts'
import { granted } from './refused.ts'

const fiveMinutes = 300_000

/** The names of agents; one that is not among the newest hundred is asked for by itself. */
const agentQuery = (id: string) =>
  queryOptions({
    queryKey: ['agent', id],
    queryFn: ({ signal }) => granted(api.GET('/api/v1/agents/{id}', { params: { path: { id } }, signal })),
    staleTime: fiveMinutes,
  })

export const agentsQuery = queryOptions({
  queryKey: ['agents'],
  queryFn: ({ signal }) => granted(api.GET('/api/v1/agents', { params: { query: { limit: 100 } }, signal })),
  select: ({ items }) => new Map(items.map(({ id, name }) => [id, name])),
  staleTime: fiveMinutes,
})

const personQuery = (id: string) =>
  queryOptions({
    queryKey: ['person', id],
    queryFn: ({ signal }) => granted(api.GET('/api/v1/users/{id}', { params: { path: { id } }, signal })),
    staleTime: fiveMinutes,
  })

/** What an agent is called; null until that is known. */
export function useAgentName(id: string): string | null {
  const { data: known } = useQuery(agentsQuery)
  const name = known?.get(id)
  const { data: one } = useQuery({ ...agentQuery(id), enabled: known !== undefined && name === undefined })
  return name ?? one?.name ?? null
}

/** What a person is called, or their address; null until that is known. */
export function usePersonName(id: string | null): string | null {
  const { data } = useQuery({ ...personQuery(id ?? ''), enabled: id !== null })
  return data === undefined ? null : (data.name ?? data.email)
}
