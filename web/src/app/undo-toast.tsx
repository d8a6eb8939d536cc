import { useNavigate, useParams } from '@tanstack/react-router'
import { lazy, Suspense } from 'react'
import { isUndoable, type Many, useMany } from '../bulk/many.ts'
import { shownDecision, undoable, useDecisions } from '../deciding/decisions.ts'
import { takeBack } from '../deciding/take-back.ts'
import { queues } from '../inbox/queues.ts'
import { useKeys } from '../keys/keyboard.ts'
import { type Snoozed, useAside } from '../snoozing/aside.ts'

// Where there is a reader, it was loaded beside it.
const HoldToast = lazy(() => import('../deciding/hold-toast.tsx').then((part) => ({ default: part.HoldToast })))
const loadTellBack = () => import('../snoozing/tell-back.ts')
const SnoozeToast = lazy(() => import('../snoozing/snooze-toast.tsx').then((part) => ({ default: part.SnoozeToast })))

const loadUndone = () => import('../bulk/tell-undone.ts')
const ManyToast = lazy(() => import('../bulk/toast.tsx').then((part) => ({ default: part.ManyToast })))

/** The latest decision and its key, on every page. In the inbox the request is read again once it is taken back. */
export function UndoToast() {
  const { queue, id } = useParams({ strict: false })
  const navigate = useNavigate()
  const decisions = useDecisions()
  const { latest: snoozed } = useAside()
  const entry = undoable()
  const many = useMany()
  const acts = [
    ...(entry === null ? [] : [{ at: entry.decidedAt, undo: () => void undo() }]),
    ...(snoozed === null ? [] : [{ at: snoozed.at, undo: () => void unsnooze(snoozed) }]),
    ...(isUndoable(many) ? [{ at: many.at, undo: () => void undoAll(many) }] : []),
  ]
  const last = acts.toSorted((one, other) => other.at - one.at)[0]
  const open = (next: string, name: string): void =>
    void navigate({ to: '/inbox/$queue/$id', params: { queue: name, id: next }, search: queue === name })
  const undo = async (): Promise<void> => {
    if (entry === null) return
    const isOpenAgain = await takeBack(entry.request)
    if (isOpenAgain && queue !== undefined) open(entry.request.id, queue)
  }
  const unsnooze = async ({ request }: Snoozed): Promise<void> => {
    const { tellBack } = await loadTellBack()
    void tellBack(request, queues)
    if (queue !== undefined) open(request.id, queue)
  }
  const undoAll = async (all: Many): Promise<void> => (await loadUndone()).tellUndone(all, queues)
  useKeys(last === undefined ? {} : { undo: last.undo })
  const isAbove = shownDecision(decisions) !== null || decisions.latest !== null
  return (
    <>
      {isAbove ? (
        <Suspense>
          <HoldToast current={id} onUndo={() => void undo()} onOpen={(next) => open(next, queue ?? queues[0].name)} />
        </Suspense>
      ) : null}
      {snoozed === null ? null : (
        <Suspense>
          <SnoozeToast snoozed={snoozed} isAbove={isAbove} onUndo={() => void unsnooze(snoozed)} />
        </Suspense>
      )}
      {many === null || (snoozed !== null && snoozed.at > many.at) ? null : (
        <Suspense>
          <ManyToast
            key={many.at}
            many={many}
            isAbove={isAbove}
            onUndo={() => void undoAll(many)}
            onOpen={(next) => open(next, queue ?? queues[0].name)}
          />
        </Suspense>
      )}
    </>
  )
}
