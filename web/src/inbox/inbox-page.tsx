import { useNavigate, useParams, useSearch } from '@tanstack/react-router'
import { lazy, Suspense, useCallback, useEffect, useRef, useState } from 'react'
import type { Request } from '../api/requests.ts'
import { MenuButton } from '../design/menu-button.tsx'
import { KeyButton } from '../keys/key-button.tsx'
import { useKeys } from '../keys/keyboard.ts'
import { type Filters, isFiltered } from '../views/filters.ts'
import { say } from '../words/say.ts'
import { AwayLine } from './away-line.tsx'
import { QueueList } from './queue-list.tsx'
import { type Queue, queueOf, queues } from './queues.ts'
import { usePlace } from './use-place.ts'
import { showsSettled, useQueue } from './use-queue.ts'
import { useSelection } from './use-selection.ts'

// Fetched beside the list, so that it is there when somebody opens a request.
const loadedReader = import('./reader.tsx').then((part) => ({ default: part.Reader }))
const Reader = lazy(() => loadedReader)
// So that letters typed right behind the key are not lost.
const loadedSearch = import('./search-field.tsx').then((part) => ({ default: part.SearchField }))
const SearchField = lazy(() => loadedSearch)
// For the first decision, which takes no time.
void import('../deciding/hold-toast.tsx').catch(() => undefined)
const FilterDialog = lazy(() => import('../views/filter-dialog.tsx').then((part) => ({ default: part.FilterDialog })))
const ViewBar = lazy(() => import('../views/view-bar.tsx').then((part) => ({ default: part.ViewBar })))
const BulkBar = lazy(() => import('../bulk/bar.tsx').then((part) => ({ default: part.BulkBar })))

/** The list and the reader, side by side from 1024 px on and one at a time below. The address says which request is read. */
export function InboxPage() {
  const { queue = '' } = useParams({ strict: false })
  const found = queueOf(queue)
  const { q, ...filters }: Filters = useSearch({ from: '/inside/inbox/$queue' })
  return <Inbox key={found.name + JSON.stringify(filters)} queue={found} filters={filters} q={q} />
}

interface InboxProps {
  readonly queue: Queue
  readonly filters: Filters
  /** What is searched for; empty: the box is open. */
  readonly q: string | undefined
}

function Inbox({ queue, filters, q }: InboxProps) {
  const navigate = useNavigate()
  const [isFiltering, setIsFiltering] = useState(false)
  const place = usePlace(queue.name)
  const { id } = place
  const list = useQueue(queue, id, filters, q?.trim() ?? '')
  const [turn, setTurn] = useState(0)
  const { requests, shown, hasNextPage, isFetchingNextPage, fetchNextPage } = list
  const selection = useSelection(requests, shown)
  // Which request the person went to, by a link or in the list; any other came by itself.
  const chosen = useRef<string | null>(id ?? null)
  const [focus, setFocus] = useState<{ readonly id: string; readonly turn: number } | null>(null)

  const point = useCallback((to: string): void => setFocus((before) => ({ id: to, turn: (before?.turn ?? 0) + 1 })), [])
  const show = (next: string, by: 'person' | 'itself'): void => {
    chosen.current = by === 'person' ? next : null
    point(next)
    place.go(next)
  }
  const at = requests.findIndex((request) => request.id === id)
  const row = shown.findIndex((request) => request.id === id)
  const move = (step: 1 | -1): void => {
    const next = shown[row === -1 ? 0 : row + step]
    if (next !== undefined) show(next.id, 'person')
  }
  const extend = (step: 1 | -1): void => {
    const [from, to] = [shown[row], shown[row + step]]
    if (from === undefined || to === undefined) return
    selection.extend(from.id, to.id)
    show(to.id, 'person')
  }
  const back = (): void => {
    if (selection.isOn) selection.clear()
    else if (id !== undefined) leave(id)
  }
  const leave = (id: string): void => {
    point(id)
    if (!isWide()) place.leave(false)
  }
  const searchFor = (text: string | undefined): void => {
    const search = text === undefined ? filters : { ...filters, q: text }
    void navigate({ to: '.', search, replace: q !== undefined })
  }
  const first = (): void => {
    const [found] = requests
    if (found !== undefined) show(found.id, 'person')
  }
  const decided = (request: Request): void => {
    const was = requests.findIndex((each) => each.id === request.id)
    const next = requests[was + 1] ?? requests[was - 1]
    if (next === undefined) place.leave(true)
    else show(next.id, 'itself')
  }
  /** The focus goes to what is left, and so does the reader where what was read is among them. */
  const acted = (gone: readonly Request[]): void => {
    selection.clear()
    const ids = new Set(gone.map((request) => request.id))
    const from = at === -1 ? requests.findIndex((request) => ids.has(request.id)) : at
    const isLeft = (request: Request): boolean => !ids.has(request.id)
    const next = requests.slice(from).find(isLeft) ?? requests.slice(0, from).findLast(isLeft)
    if (next === undefined) {
      if (id !== undefined) place.leave(true)
    } else if (id === undefined || !ids.has(id)) point(id ?? next.id)
    else show(next.id, 'itself')
  }
  const narrow = (next: Filters): void => {
    setIsFiltering(false)
    void navigate({
      to: '/inbox/$queue',
      params: { queue: queue.name },
      search: q === undefined ? next : { ...next, q },
    })
  }
  const { go, follow } = place
  // The same function each time, so that rows that did not change are not drawn again.
  const opened = useCallback(
    (next: string): void => {
      chosen.current = next
      point(next)
      follow(next)
    },
    [follow, point],
  )
  // An address that led elsewhere, such as that of a decision taken back, takes the focus along.
  // biome-ignore lint/correctness/useExhaustiveDependencies: once per request that is read
  useEffect(() => {
    if (id !== undefined && focus !== null && focus.id !== id) point(id)
  }, [id])
  useKeys({
    search: () => {
      // The box is in the list, which is not seen beside the reader of a narrow window.
      if (id !== undefined && !isWide()) place.leave(false)
      if (q === undefined) searchFor('')
      setTurn((before) => before + 1)
    },
    next: () => move(1),
    previous: () => move(-1),
    open: () => {
      const first = requests[at === -1 ? 0 : at]
      if (first !== undefined) show(first.id, 'person')
    },
    select: () => selection.toggle(id ?? rowWithFocus()),
    extendNext: () => extend(1),
    extendPrevious: () => extend(-1),
    filter: () => setIsFiltering(true),
    ...(selection.isOn ? { back: selection.clear } : {}),
  })

  // Where the list is not seen, nobody scrolls to its end.
  const isNearEnd = at >= requests.length - nearEnd
  useEffect(() => {
    if (isNearEnd && hasNextPage && !isFetchingNextPage) void fetchNextPage()
  }, [isNearEnd, hasNextPage, isFetchingNextPage, fetchNextPage])

  // Beside the list the reader is never empty while there is something to read.
  const firstId = requests[0]?.id
  // biome-ignore lint/correctness/useExhaustiveDependencies: once nothing is read and something is there
  useEffect(() => {
    if (id === undefined && firstId !== undefined && isWide()) go(firstId)
  }, [id, firstId])

  return (
    <main className="grid min-h-0 grid-cols-[minmax(0,1fr)] wide:grid-cols-[minmax(280px,36%)_minmax(0,1fr)] full:grid-cols-[400px_minmax(0,1fr)]">
      <div
        className={`min-h-0 min-w-0 flex-col border-line border-e bg-pane wide:flex ${id === undefined ? 'flex' : 'hidden'}`}
      >
        <header className="flex h-12 shrink-0 items-center gap-2 border-line border-b px-4">
          <MenuButton />
          <h1 className="min-w-0 truncate font-semibold">{say(queue.label)}</h1>
          <span className="ms-auto flex gap-0.5">
            <KeyButton act="select" />
            <KeyButton act="filter" />
            <KeyButton act="search" />
            <KeyButton act="sheet" />
          </span>
        </header>
        {q === undefined ? null : (
          <Suspense>
            <SearchField
              value={q}
              turn={turn}
              onSearch={searchFor}
              onEnter={first}
              onClose={() => {
                searchFor(undefined)
                const [shown] = requests
                if (shown !== undefined) point(id ?? shown.id)
              }}
            />
          </Suspense>
        )}
        <AwayLine />
        <Suspense>
          {isFiltered(filters) || list.search !== '' ? (
            <ViewBar queue={queue.query.queue ?? null} filters={filters} q={q} onClear={() => narrow({})} />
          ) : null}
          {isFiltering ? (
            <FilterDialog
              filters={filters}
              hasDecided={showsSettled(queue)}
              onChoose={narrow}
              onClose={() => setIsFiltering(false)}
            />
          ) : null}
        </Suspense>
        <QueueList queue={queue} list={list} current={id} focus={focus} selection={selection} onOpen={opened} />
        {selection.chosen.length === 0 ? null : (
          <Suspense>
            <BulkBar
              chosen={selection.chosen}
              requests={requests}
              lists={queues}
              onSelect={selection.add}
              onClear={() => {
                selection.clear()
                const row = id ?? requests[0]?.id
                if (row !== undefined) point(row)
              }}
              onActed={acted}
            />
          </Suspense>
        )}
      </div>
      {id === undefined ? (
        <p className="hidden place-items-center bg-pane text-faint wide:grid">{say('reader.nothing')}</p>
      ) : (
        <Suspense fallback={<span />}>
          <Reader
            id={id}
            isAtRest={place.isAtRest}
            known={requests[at]}
            place={at === -1 ? null : { index: at + 1, count: requests.length, isMore: hasNextPage }}
            cameByItself={chosen.current !== id}
            onMove={move}
            onBack={back}
            onDecided={decided}
          />
        </Suspense>
      )}
    </main>
  )
}

/** So many requests before the last one that is loaded, the next page is asked for. */
const nearEnd = 20

const rowWithFocus = (): string | undefined =>
  document.activeElement instanceof HTMLElement ? document.activeElement.dataset.row : undefined

/** As in the style sheet. */
const isWide = (): boolean => matchMedia('(min-width: 1024px)').matches
