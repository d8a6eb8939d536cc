import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useVirtualizer } from '@tanstack/react-virtual'
import { lazy, memo, Suspense, useCallback, useEffect, useRef } from 'react'
import { countsQuery } from '../api/counts.ts'
import { isRefused } from '../api/refused.ts'
import type { Highlight, Request } from '../api/requests.ts'
import { Button } from '../design/button.tsx'
import { usePreferences } from '../design/preferences.ts'
import { say } from '../words/say.ts'
import { QueueRow } from './queue-row.tsx'
import type { Queue } from './queues.ts'
import type { useQueue } from './use-queue.ts'
import type { useSelection } from './use-selection.ts'

const sectionHeight = 34
const foldHeight = 34
const rowHeight = { comfortable: 57, compact: 45 } as const
/** So many rows before the end, the next page is asked for. */
const ahead = 30

export interface QueueListProps {
  readonly queue: Queue
  readonly list: ReturnType<typeof useQueue>
  readonly current: string | undefined
  /** Moves the focus to this row once it is drawn; another number each time. */
  readonly focus: { readonly id: string; readonly turn: number } | null
  readonly selection: ReturnType<typeof useSelection>
  readonly onOpen: (id: string) => void
}

/** Draws the rows that are seen, however many there are. */
export function QueueList({ queue, list, current, focus, selection, onOpen }: QueueListProps) {
  const { rows, shown, unfold, highlights, hasNextPage, isFetchingNextPage, fetchNextPage } = list
  const { density } = usePreferences()
  const scroller = useRef<HTMLDivElement>(null)
  const estimateSize = useCallback(
    (index: number) => {
      const kind = rows[index]?.kind
      return kind === 'section' ? sectionHeight : kind === 'fold' ? foldHeight : rowHeight[density]
    },
    [rows, density],
  )
  // As functions that stay the same, because another one makes all rows be measured again.
  const getItemKey = useCallback((index: number) => rows[index]?.key ?? index, [rows])
  const virtualizer = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize,
    getItemKey,
    overscan: 8,
  })
  // biome-ignore lint/correctness/useExhaustiveDependencies: sizes depend on the density and on where headings are
  useEffect(() => virtualizer.measure(), [density, rows, virtualizer])

  const items = virtualizer.getVirtualItems()
  const lastSeen = items.at(-1)?.index ?? 0
  useEffect(() => {
    if (hasNextPage && !isFetchingNextPage && lastSeen >= rows.length - ahead) void fetchNextPage()
  }, [hasNextPage, isFetchingNextPage, fetchNextPage, lastSeen, rows.length])

  // The row that is read stays in sight, and has the focus when the person's own act led to it.
  const at = rows.findIndex((row) => row.kind === 'item' && row.request.id === (focus?.id ?? current))
  // biome-ignore lint/correctness/useExhaustiveDependencies: once per move and once it is there, not whenever a row above it comes or goes
  useEffect(() => {
    // The first row brings its heading along. Sizes are known, so nothing has to be measured, nor looked at again afterwards.
    const [offset] = (at === -1 ? undefined : virtualizer.getOffsetForIndex(at === 1 ? 0 : at)) ?? []
    if (offset !== undefined && offset !== virtualizer.scrollOffset) scroller.current?.scrollTo({ top: offset })
    if (focus === null) return
    const frame = requestAnimationFrame(() => {
      const row = scroller.current?.querySelector<HTMLElement>(`[data-row="${focus.id}"]`)
      // Where the list is not beside the reader, a row cannot have the focus, and what is read has it.
      const isSeen = row != null && row.offsetParent !== null
      ;(isSeen ? row : document.getElementById('card-title'))?.focus({ preventScroll: true })
    })
    return () => cancelAnimationFrame(frame)
  }, [current, focus, at === -1])

  const stop = shown.some(({ id }) => id === current) ? current : shown[0]?.id
  return (
    <div ref={scroller} className="min-h-0 flex-1 overflow-y-auto overscroll-contain pb-4 [scrollbar-width:thin]">
      {rows.length === 0 ? <Nothing queue={queue} list={list} /> : null}
      <ul aria-label={say(queue.label)} className="relative" style={{ height: virtualizer.getTotalSize() }}>
        {items.map(({ index, key, start, size }) => {
          const row = rows[index]
          if (row === undefined) return null
          if (row.kind === 'section') {
            return (
              <li key={key} style={placed(start, size)} className="absolute inset-x-0 top-0">
                <h2 className="flex h-full items-end px-4 pb-1 font-medium text-faint text-small">{say(row.label)}</h2>
              </li>
            )
          }
          if (row.kind === 'fold') {
            const { kind, count, isOpen } = row.fold
            return (
              <li key={key} style={placed(start, size)} className="absolute inset-x-0 top-0">
                <button
                  type="button"
                  aria-expanded={isOpen}
                  className="flex h-full w-full items-center ps-[42px] pe-4 text-faint text-small -outline-offset-2 hover:text-mute"
                  onClick={() => unfold(kind)}
                >
                  {isOpen ? say('list.fold') : say('list.unfold', { count })}
                </button>
              </li>
            )
          }
          const { request } = row
          return (
            <Item
              key={key}
              queue={queue.name}
              request={request}
              highlights={highlights.get(request.id)}
              index={row.index}
              count={hasNextPage ? -1 : shown.length}
              start={start}
              size={size}
              isCurrent={request.id === current}
              isStop={request.id === stop}
              isCompact={density === 'compact'}
              isSelected={selection.isOn ? selection.revisions.has(request.id) : null}
              onSelect={selection.toggle}
              onExtend={selection.extend}
              onOpen={onOpen}
            />
          )
        })}
      </ul>
    </div>
  )
}

const placed = (start: number, size: number) => ({ height: size, transform: `translateY(${start}px)` })

interface ItemProps {
  readonly queue: string
  readonly request: Request
  readonly highlights: readonly Highlight[] | undefined
  readonly index: number
  /** -1: not known. */
  readonly count: number
  readonly start: number
  readonly size: number
  readonly isCurrent: boolean
  readonly isStop: boolean
  readonly isCompact: boolean
  /** Null: nothing is. */
  readonly isSelected: boolean | null
  readonly onSelect: (id: string) => void
  readonly onExtend: (was: string | null, to: string) => void
  readonly onOpen: (id: string) => void
}

/** Drawn again only when it changes itself: a move changes two of the rows that are seen. */
const Item = memo(function Item(props: ItemProps) {
  const { queue, request, highlights, index, count, start, size, isCurrent, isStop, isCompact, isSelected } = props
  const { onSelect, onExtend, onOpen } = props
  return (
    <li
      aria-setsize={count}
      aria-posinset={index + 1}
      style={placed(start, size)}
      className="absolute inset-x-0 top-0 contain-strict"
    >
      {isSelected === null ? null : (
        <label className="absolute inset-y-0 start-0.5 z-[1] grid w-11 place-items-center">
          <input
            type="checkbox"
            checked={isSelected}
            aria-label={say('select.row', { title: request.title })}
            tabIndex={isStop ? 0 : -1}
            className="size-4 accent-accent"
            onChange={({ nativeEvent }) => {
              if (nativeEvent instanceof MouseEvent && nativeEvent.shiftKey) onExtend(null, request.id)
              else onSelect(request.id)
            }}
          />
        </label>
      )}
      <Link
        to="/inbox/$queue/$id"
        params={{ queue, id: request.id }}
        search
        data-row={request.id}
        aria-current={isCurrent ? 'true' : undefined}
        tabIndex={isStop ? 0 : -1}
        className={`block h-full border-s-2 -outline-offset-2 ${isCurrent ? 'border-accent bg-chosen' : 'border-transparent hover:bg-side forced-colors:border-[Canvas]'} ${isSelected === null ? '' : 'ps-7'}`}
        onClick={(event) => {
          if (!event.ctrlKey && !event.metaKey && !event.shiftKey) onOpen(request.id)
        }}
      >
        <QueueRow request={request} isCompact={isCompact} highlights={highlights} />
      </Link>
    </li>
  )
})

function Nothing({ queue, list }: Pick<QueueListProps, 'queue' | 'list'>) {
  const { isPending, error, refetch, search, hasNextPage } = list
  if (error !== null) {
    return (
      <div role="alert" className="grid justify-items-center gap-3 p-8 text-center">
        <p className="text-mute">{isRefused(error) && error.message !== '' ? error.message : say('list.unseen')}</p>
        <Button onClick={() => void refetch()}>{say('list.again')}</Button>
      </div>
    )
  }
  if (isPending || hasNextPage) return <Skeleton />
  return search === '' ? <Empty /> : <NotFound queue={queue} search={search} />
}

/** What was looked at, and where else it may be. */
function NotFound({ queue, search }: { readonly queue: Queue; readonly search: string }) {
  const isEverything = queue.query.queue === undefined
  return (
    <div role="status" className="grid justify-items-center gap-3 p-8 text-center text-mute">
      <p>{say('search.nothing', { queue: say(queue.label) })}</p>
      <p className="text-small">{say('search.searched')}</p>
      {isEverything ? null : (
        <Link
          to="/inbox/$queue"
          params={{ queue: 'latest' }}
          search={{ q: search }}
          className="underline underline-offset-2"
        >
          {say('search.everywhere')}
        </Link>
      )}
    </div>
  )
}

const FirstRun = lazy(() => import('../first-run/first-run.tsx').then((module) => ({ default: module.FirstRun })))

/** Where nothing was ever asked, how to get a first request. */
function Empty() {
  const { data: counts } = useQuery(countsQuery)
  const isNew = counts !== undefined && Object.values(counts.by_state).every((count) => count === 0)
  if (!isNew) return <p className="p-8 text-center text-mute">{say('list.empty')}</p>
  return (
    <Suspense>
      <FirstRun />
    </Suspense>
  )
}

/** The rows to come, in their size. It is only seen when they take longer than a blink. */
function Skeleton() {
  return (
    <div className="appear-late pt-9" aria-hidden="true">
      {[72, 58, 66, 50, 62].map((width) => (
        <div key={width} className="grid h-[57px] content-center gap-2 ps-[42px] pe-4">
          <span className="h-3 rounded-small bg-side" style={{ width: `${width}%` }} />
          <span className="h-2.5 w-2/5 rounded-small bg-side" />
        </div>
      ))}
    </div>
  )
}
