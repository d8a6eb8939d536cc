import { useNavigate, useParams } from '@tanstack/react-router'
import { undoable, useDecisions } from '../deciding/decisions.ts'
import { HoldToast } from '../deciding/hold-toast.tsx'
import { takeBack } from '../deciding/take-back.ts'
import { queues } from '../inbox/queues.ts'
import { useKeys } from '../keys/keyboard.ts'

/** The latest decision and its key, on every page. In the inbox the request is read again once it is taken back. */
export function UndoToast() {
  const { queue, id } = useParams({ strict: false })
  const navigate = useNavigate()
  useDecisions()
  const entry = undoable()
  const open = (next: string, name: string): void =>
    void navigate({ to: '/inbox/$queue/$id', params: { queue: name, id: next } })
  const undo = async (): Promise<void> => {
    if (entry === null) return
    const isOpenAgain = await takeBack(entry.request)
    if (isOpenAgain && queue !== undefined) open(entry.request.id, queue)
  }
  useKeys(entry === null ? {} : { undo: () => void undo() })
  return <HoldToast current={id} onUndo={() => void undo()} onOpen={(next) => open(next, queue ?? queues[0].name)} />
}
