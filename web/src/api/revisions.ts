import { queryOptions } from '@tanstack/react-query'
import { api, type Schemas } from './client.ts'
import { granted } from './refused.ts'
import type { Request } from './requests.ts'

export type Revision = Schemas['Revision']

/** What a request asked before, newest first: at most 20 revisions, in pages of at most 1 MiB. Another revision makes them others. */
export const revisionsQuery = ({ id, revision }: Pick<Request, 'id' | 'revision'>) =>
  queryOptions({
    queryKey: ['revisions', id, revision],
    queryFn: async ({ signal }) => {
      const found: Revision[] = []
      let cursor: string | null = null
      do {
        const query = cursor === null ? {} : { cursor }
        const page: Schemas['RevisionPage'] = await granted(
          api.GET('/api/v1/requests/{id}/revisions', { params: { path: { id }, query }, signal }),
        )
        found.push(...page.items)
        cursor = page.next_cursor
      } while (cursor !== null)
      return found.filter((each) => each.revision < revision)
    },
    staleTime: 60_000,
    gcTime: 60_000,
  })
