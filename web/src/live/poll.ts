import { api } from '../api/client.ts'
import { Refused } from '../api/refused.ts'
import type { Request } from '../api/requests.ts'

/** Lists leave contexts above 4 KiB out; such a request is read by itself when it is opened. */
const pageSize = 100
/** More changes than these pages hold are not read one by one: what is shown is read again. */
const mostPages = 5

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
    let [next, cursor]: [string | undefined, string | null] = [undefined, null]
    for (let turn = 1; ; turn += 1) {
      const { data, error, response } = await page(since, cursor)
      if (response.status === 304) return { requests, since }
      if (data === undefined) throw new Refused(response.status, error ?? {})
      requests.push(...(data.items as readonly Request[]))
      cursor = data.next_cursor
      // That of the first page: whatever comes after it is on no page yet.
      next ??= data.watermark ?? since
      if (cursor === null) {
        const etag = response.headers.get('etag')
        // The tag belongs to the address, which contains the watermark.
        tag = next === since && etag !== null ? { since, etag } : null
        return { requests, since: next }
      }
      // What is read again is read after this time.
      if (turn === mostPages) return { requests: null, since: next }
    }
  }
}
