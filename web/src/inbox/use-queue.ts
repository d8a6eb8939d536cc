import { useInfiniteQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { listQuery, type Request } from '../api/requests.ts'
import { useDecisions } from '../deciding/decisions.ts'
import { useNow } from '../design/use-now.ts'
import type { Queue } from './queues.ts'
import { rowsOf } from './sections.ts'

/**
 * What of a queue is loaded, as rows. A request that somebody else decided stays while it is the one that is read, because
 * nothing is taken from under a person's eyes.
 */
export function useQueue(queue: Queue, current: string | undefined) {
  const { data, error, isPending, hasNextPage, isFetchingNextPage, fetchNextPage, refetch } = useInfiniteQuery(
    listQuery(queue.name, queue.query),
  )
  const { decided, notices } = useDecisions()
  const now = useNow()
  const requests = useMemo(() => {
    const seen = new Set<string>()
    const found: Request[] = []
    for (const { items } of data?.pages ?? []) {
      for (const item of items as readonly Request[]) {
        // A page that moved while it was read may bring one again.
        if (seen.has(item.id)) continue
        seen.add(item.id)
        const isLeaving = decided.has(item.id) && queue.name !== 'latest'
        if (!isLeaving && (item.id === current || notices.has(item.id) || queue.fits(item, now))) found.push(item)
      }
    }
    return found
  }, [data, decided, notices, queue, current, now])
  const { sort } = queue.query(now)
  const rows = useMemo(() => rowsOf(requests, sort, now), [requests, sort, now])
  return { requests, rows, error, isPending, hasNextPage, isFetchingNextPage, fetchNextPage, refetch }
}
