import { useNavigate, useParams } from '@tanstack/react-router'
import { lazy, Suspense, useEffect, useRef, useState } from 'react'
import type { Request } from '../api/requests.ts'
import { type Decided, undo, undoable } from '../deciding/decisions.ts'
import { HoldToast } from '../deciding/hold-toast.tsx'
import { announce } from '../design/announcer.tsx'
import { MenuButton } from '../design/menu-button.tsx'
import { KeyButton } from '../keys/key-button.tsx'
import { useKeys } from '../keys/keyboard.ts'
import { useConnection } from '../live/changes.ts'
import { say } from '../words/say.ts'
import { QueueList } from './queue-list.tsx'
import { queueOf } from './queues.ts'
import { useQueue } from './use-queue.ts'

// Fetched beside the list, so that it is there when somebody opens a request.
const loadedReader = import('./reader.tsx').then((part) => ({ default: part.Reader }))
const Reader = lazy(() => loadedReader)

/** The list and the reader, side by side from 1024 px on and one at a time below. The address says which request is read. */
export function InboxPage() {
  const { queue: queueName = '', id } = useParams({ strict: false })
  const queue = queueOf(queueName)
  const navigate = useNavigate()
  const list = useQueue(queue, id)
  const { requests, hasNextPage } = list
  const connection = useConnection()
  // Which request the person went to, by a link or in the list; any other came by itself.
  const chosen = useRef<string | null>(id ?? null)
  const [focus, setFocus] = useState<{ readonly id: string; readonly turn: number } | null>(null)

  const show = (next: string, by: 'person' | 'itself', replace = false): void => {
    if (by === 'person') chosen.current = next
    setFocus((before) => ({ id: next, turn: (before?.turn ?? 0) + 1 }))
    void navigate({ to: '/inbox/$queue/$id', params: { queue: queue.name, id: next }, replace })
  }
  const at = requests.findIndex((request) => request.id === id)
  const move = (step: 1 | -1): void => {
    const next = requests[at === -1 ? 0 : at + step]
    if (next !== undefined) show(next.id, 'person', id !== undefined)
  }
  const back = (): void => {
    if (id === undefined) return
    if (isWide()) {
      setFocus((before) => ({ id, turn: (before?.turn ?? 0) + 1 }))
      return
    }
    setFocus({ id, turn: (focus?.turn ?? 0) + 1 })
    void navigate({ to: '/inbox/$queue', params: { queue: queue.name } })
  }
  const decided = (request: Request): void => {
    const place = requests.findIndex((each) => each.id === request.id)
    const next = requests[place + 1] ?? requests[place - 1]
    if (next === undefined) void navigate({ to: '/inbox/$queue', params: { queue: queue.name }, replace: true })
    else show(next.id, 'itself', true)
  }
  const takeBack = async (entry: Decided): Promise<void> => {
    const isOpenAgain = await undo(entry)
    announce(say(isOpenAgain ? 'announce.undone' : 'announce.not_undone', { title: entry.request.title }))
    show(entry.request.id, 'itself')
  }
  useKeys({
    next: () => move(1),
    previous: () => move(-1),
    open: () => {
      const first = requests[at === -1 ? 0 : at]
      if (first !== undefined) show(first.id, 'person', id !== undefined)
    },
    undo: () => {
      const entry = undoable()
      if (entry !== null) void takeBack(entry)
    },
  })

  // Beside the list the reader is never empty while there is something to read.
  const [firstId] = requests.map((request) => request.id)
  useEffect(() => {
    if (id !== undefined || firstId === undefined || !isWide()) return
    void navigate({ to: '/inbox/$queue/$id', params: { queue: queue.name, id: firstId }, replace: true })
  }, [id, firstId, queue.name, navigate])

  return (
    <main className="grid min-h-0 grid-cols-[minmax(0,1fr)] wide:grid-cols-[minmax(280px,36%)_minmax(0,1fr)] full:grid-cols-[400px_minmax(0,1fr)]">
      <div
        className={`min-h-0 min-w-0 flex-col border-line border-e bg-pane wide:flex ${id === undefined ? 'flex' : 'hidden'}`}
      >
        <header className="flex h-12 shrink-0 items-center gap-2 border-line border-b px-4">
          <MenuButton />
          <h1 className="font-semibold">{say(queue.label)}</h1>
          <span className="ms-auto flex gap-0.5">
            <KeyButton act="search" />
            <KeyButton act="sheet" />
          </span>
        </header>
        {connection === 'away' ? (
          <p role="status" className="border-line border-b bg-agent px-4 py-2 text-small">
            {say('app.offline')}
          </p>
        ) : null}
        <QueueList
          key={queue.name}
          queue={queue}
          list={list}
          current={id}
          focus={focus}
          onOpen={(next) => {
            chosen.current = next
          }}
        />
      </div>
      {id === undefined ? (
        <p className="hidden place-items-center bg-pane text-faint wide:grid">{say('reader.nothing')}</p>
      ) : (
        <Suspense fallback={<span />}>
          <Reader
            id={id}
            known={requests[at]}
            place={at === -1 ? null : { index: at + 1, count: requests.length, isMore: hasNextPage }}
            cameByItself={chosen.current !== id}
            onMove={move}
            onBack={back}
            onDecided={decided}
          />
        </Suspense>
      )}
      <HoldToast current={id} onUndo={(entry) => void takeBack(entry)} onOpen={(back) => show(back, 'person')} />
    </main>
  )
}

/** As in the style sheet. */
const isWide = (): boolean => matchMedia('(min-width: 1024px)').matches
