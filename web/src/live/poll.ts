import { api } from '../api/client.ts'
import { Refused } from '../api/refused.ts'
import type { Request } from '../api/requests.ts'

/** Before the page's own start, because the clocks of browser and service differ. */
const overlapMs = 60_000
/** Lists leave contexts above 4 KiB out; such a request is read by itself when it is opened. */
const pageSize = 100
/** More changes than these pages hold are not read one by one: what is shown is read again. */
const mostPages = 5

export const overlapping = (): string => new Date(Date.now() - overlapMs).toISOString()

export interface Found {
  /** Null: more than is read one by one. */
  readonly requests: readonly Request[] | null
  /** From where the next poll goes on. */
  readonly since: string
}

/** Asks for what changed since the last reply; `watermark` makes that complete, and an `ETag` small while nothing changes. */
export function createPoll(signal: AbortSignal) {
  let tag: { readonly since: string; readonly etag: string } | null = null

  const page = (since: string, cursor: string | null) =>
    api.GET('/api/v1/requests', {
      params: {
        query: { updated_after: since, limit: pageSize, ...(cursor === null ? {} : { cursor }) },
        header: tag?.since === since && cursor === null ? { 'if-none-match': tag.etag } : {},
      },
      signal,
    })

  return async (since: string): Promise<Found> => {
    const requests: Request[] = []
    let cursor: string | null = null
    for (let turn = 1; ; turn += 1) {
      const { data, error, response } = await page(since, cursor)
      if (response.status === 304) return { requests, since }
      if (data === undefined) throw new Refused(response.status, error ?? {})
      requests.push(...(data.items as readonly Request[]))
      cursor = data.next_cursor
      if (cursor === null) {
        const next = data.watermark ?? since
        const etag = response.headers.get('etag')
        // The tag belongs to the address, which contains the watermark.
        tag = next === since && etag !== null ? { since, etag } : null
        return { requests, since: next }
      }
      if (turn === mostPages) return { requests: null, since: overlapping() }
    }
  }
}
