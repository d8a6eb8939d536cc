import { api } from '../api/client.ts'
import { isRefused, Refused } from '../api/refused.ts'
import type { ChangeSource } from './source.ts'

/** While the page is seen, and while it is not. */
const seenMs = 2_000
const hiddenMs = 30_000
/** After a failure twice as long each time, up to this. */
const longestMs = 30_000
/** Before the page's own start, because the clocks of browser and service differ. */
const overlapMs = 60_000
/** Lists leave contexts above 4 KiB out; such a request is read by itself when it is opened. */
const pageSize = 100

/** Asks for what changed since the last reply; `watermark` makes that complete, and an `ETag` small while nothing changes. */
export const pollChanges: ChangeSource = ({ changed, connection }) => {
  let since = new Date(Date.now() - overlapMs).toISOString()
  let etag: string | null = null
  let failures = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  const stop = new AbortController()

  const page = (cursor: string | null) =>
    api.GET('/api/v1/requests', {
      params: {
        query: { updated_after: since, limit: pageSize, ...(cursor === null ? {} : { cursor }) },
        header: etag === null || cursor !== null ? {} : { 'if-none-match': etag },
      },
      signal: stop.signal,
    })

  const ask = async (cursor: string | null = null): Promise<void> => {
    const { data, error, response } = await page(cursor)
    if (response.status === 304) return
    if (data === undefined) throw new Refused(response.status, error ?? {})
    if (data.items.length > 0) changed(data.items)
    if (data.next_cursor !== null) return ask(data.next_cursor)
    const next = data.watermark ?? since
    // The tag belongs to the address, which contains the watermark.
    etag = next === since ? response.headers.get('etag') : null
    since = next
  }

  const turn = async (): Promise<void> => {
    try {
      await ask()
      failures = 0
      connection('live')
    } catch (error) {
      if (stop.signal.aborted) return
      failures += 1
      if (failures > 1 && !isRefused(error)) connection('away')
    }
    if (!stop.signal.aborted) timer = setTimeout(turn, wait())
  }
  const wait = (): number => {
    const usual = document.hidden ? hiddenMs : seenMs
    return failures === 0 ? usual : Math.min(longestMs, usual * 2 ** failures)
  }
  // Somebody looks again: at once.
  const seen = (): void => {
    if (document.hidden) return
    clearTimeout(timer)
    void turn()
  }
  document.addEventListener('visibilitychange', seen)
  void turn()
  return () => {
    stop.abort()
    clearTimeout(timer)
    document.removeEventListener('visibilitychange', seen)
  }
}
