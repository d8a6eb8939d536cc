import { api } from './client.ts'
import { granted } from './refused.ts'
import { pageSize, type RequestPage } from './requests.ts'

const of = (id: string) => ({ params: { path: { id } } })

export const sendSnooze = (id: string, until: Date): Promise<unknown> =>
  granted(api.POST('/api/v1/requests/{id}/snooze', { ...of(id), body: { until: until.toISOString() } }))

export const sendUnsnooze = (id: string): Promise<unknown> =>
  granted(api.DELETE('/api/v1/requests/{id}/snooze', of(id)))

/** All that the caller put aside: up to a thousand requests. */
export async function snoozedPages(): Promise<readonly RequestPage[]> {
  const pages: RequestPage[] = []
  let cursor: string | null = null
  do {
    const query = { queue: 'snoozed', sort: 'due', limit: pageSize, ...(cursor === null ? {} : { cursor }) } as const
    const page: RequestPage = await granted(api.GET('/api/v1/requests', { params: { query } }))
    pages.push(page)
    cursor = page.next_cursor
  } while (cursor !== null)
  return pages
}
