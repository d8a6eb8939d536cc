import { useInfiniteQuery } from '@tanstack/react-query'

interface CursorPage<T> {
  readonly items: readonly T[]
  readonly next_cursor: string | null
}

/** A list that is read page by page, as far as somebody wants it. */
export function usePages<T>(
  key: readonly unknown[],
  read: (cursor: { cursor?: string }, signal: AbortSignal) => Promise<CursorPage<T>>,
) {
  const { data, ...query } = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam, signal }) => read(pageParam === null ? {} : { cursor: pageParam }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: ({ next_cursor }) => next_cursor,
  })
  return { ...query, items: data?.pages.flatMap(({ items }) => items) }
}
