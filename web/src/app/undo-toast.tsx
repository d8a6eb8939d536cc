import { useNavigate, useParams } from '@tanstack/react-router'
import { lazy, Suspense } from 'react'
import { shownDecision, undoable, useDecisions } from '../deciding/decisions.ts'
import { HoldToast } from '../deciding/hold-toast.tsx'
import { takeBack } from '../deciding/take-back.ts'
import { queues } from '../inbox/queues.ts'
import { useKeys } from '../keys/keyboard.ts'
import { type Snoozed, useAside } from '../snoozing/aside.ts'

const loadTellBack = () => import('../snoozing/tell-back.ts')
const SnoozeToast = lazy(() => import('../snoozing/snooze-toast.tsx').then((part) => ({ default: part.SnoozeToast })))

/** The latest decision and its key, on every page. In the inbox the request is read again once it is taken back. */
export function UndoToast() {
  const { queue, id } = useParams({ strict: false })
  const navigate = useNavigate()
  const decisions = useDecisions()
  const { latest: snoozed } = useAside()
  const entry = undoable()
  const isSnooze = snoozed !== null && (entry === null || snoozed.at > entry.decidedAt)
  const open = (next: string, name: string): void =>
    void navigate({ to: '/inbox/$queue/$id', params: { queue: name, id: next } })
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
  useKeys(isSnooze ? { undo: () => void unsnooze(snoozed) } : entry === null ? {} : { undo: () => void undo() })
  return (
    <>
      <HoldToast current={id} onUndo={() => void undo()} onOpen={(next) => open(next, queue ?? queues[0].name)} />
      {snoozed === null ? null : (
        <Suspense>
          <SnoozeToast
            snoozed={snoozed}
            isAbove={shownDecision(decisions) !== null || decisions.latest !== null}
            onUndo={() => void unsnooze(snoozed)}
          />
        </Suspense>
      )}
    </>
  )
}
