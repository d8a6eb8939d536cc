import { useInfiniteQuery } from '@tanstack/react-query'
import { useCallback, useMemo, useState } from 'react'
import { type Highlight, listQuery, type Request, searchQuery } from '../api/requests.ts'
import { isSettled, useDecisions } from '../deciding/decisions.ts'
import { useNow } from '../design/use-now.ts'
import { useAside } from '../snoozing/aside.ts'
import type { Filters } from '../views/filters.ts'
import { foldAlike, runsOf } from './fold.ts'
import type { Queue } from './queues.ts'
import { rowsOf } from './sections.ts'

/** What was decided here belongs into these, and leaves the others at once. */
export const showsSettled = ({ name }: Queue): boolean => name === 'latest' || name === 'done'

/**
 * What of a queue is loaded, as rows. A request that somebody else decided stays while it is the one that is read, because
 * nothing is taken from under a person's eyes. `search`: only what contains its words; empty: everything.
 */
export function useQueue(queue: Queue, current: string | undefined, filters: Filters, search: string) {
  const { data, error, isPending, hasNextPage, isFetchingNextPage, fetchNextPage, refetch } = useInfiniteQuery(
    // The options of both have the same form; only their keys differ in type.
    (search === ''
      ? listQuery(queue.name, queue.query, filters)
      : searchQuery(queue.query, filters, search)) as ReturnType<typeof listQuery>,
  )
  const { decided, notices } = useDecisions()
  const { ids: aside } = useAside()
  const now = useNow()
  // What fits depends on what is put aside. What is read is no part of it: a move through ten thousand requests reads none of them again.
  // biome-ignore lint/correctness/useExhaustiveDependencies: `fits` reads what is put aside
  const { fitting, others } = useMemo(() => {
    const seen = new Set<string>()
    const fitting: Request[] = []
    /** What no longer fits, by its place among what does. */
    const others = new Map<string, readonly [number, Request]>()
    for (const { items } of data?.pages ?? []) {
      for (const item of items as readonly Request[]) {
        // A page that moved while it was read may bring one again.
        if (seen.has(item.id)) continue
        seen.add(item.id)
        if (!showsSettled(queue) && isSettled(decided.get(item.id), item)) continue
        if (notices.has(item.id) || queue.fits(item, now)) fitting.push(item)
        else others.set(item.id, [fitting.length, item])
      }
    }
    return { fitting, others }
  }, [data, decided, notices, aside, queue, now])
  const kept = current === undefined ? undefined : others.get(current)
  const requests = useMemo(
    () => (kept === undefined ? fitting : fitting.toSpliced(kept[0], 0, kept[1])),
    [fitting, kept],
  )
  const [unfolded, setUnfolded] = useState<ReadonlySet<string>>(new Set())
  const runs = useMemo(() => runsOf(requests), [requests])
  // The kind and not the request: a move reads the list again only where something folded comes to be read.
  const read = current === undefined ? undefined : runs.hidden.get(current)
  const { shown, folds } = useMemo(() => foldAlike(runs, unfolded, read), [runs, unfolded, read])
  const unfold = useCallback(
    (kind: string): void =>
      setUnfolded((before) => {
        const next = new Set(before)
        if (!next.delete(kind)) next.add(kind)
        return next
      }),
    [],
  )
  const sort = search === '' ? (filters.sort ?? queue.query.sort) : 'match'
  const highlights = useMemo(
    () =>
      new Map<string, readonly Highlight[]>(
        (data?.pages ?? []).flatMap(({ matches = [] }) => matches.map((one) => [one.id, one.highlights] as const)),
      ),
    [data],
  )
  const rows = useMemo(() => rowsOf(shown, folds, sort, now), [shown, folds, sort, now])
  return {
    requests,
    shown,
    rows,
    unfold,
    highlights,
    search,
    error,
    isPending,
    hasNextPage,
    isFetchingNextPage,
    fetchNextPage,
    refetch,
  }
}
