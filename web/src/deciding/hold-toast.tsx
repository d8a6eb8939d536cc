import { useEffect, useState } from 'react'
import { announce } from '../design/announcer.tsx'
import { Kbd } from '../design/kbd.tsx'
import { keyLabel } from '../keys/bindings.ts'
import { say } from '../words/say.ts'
import { type Decided, dismiss, type Notice, useDecisions } from './decisions.ts'
import { useNoticeText } from './use-notice-text.ts'

/** How long a released decision is still told. */
const lingerMs = 2_000

function useSecondsLeft(until: number): number {
  const [now, setNow] = useState(() => performance.now())
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), 250)
    return () => clearInterval(timer)
  }, [])
  return Math.max(0, Math.ceil((until - now) / 1_000))
}

export interface HoldToastProps {
  /** The request that is read: how its decision went stands in its card. */
  readonly current: string | undefined
  readonly onUndo: (decided: Decided) => void
  readonly onOpen: (id: string) => void
}

/** The latest decision, with the time in which it can be taken back, or why it did not stand. */
export function HoldToast({ current, onUndo, onOpen }: HoldToastProps) {
  const { decided, notices, latest } = useDecisions()
  const entry = latest === null ? undefined : decided.get(latest)
  const notice = latest === null || latest === current ? undefined : notices.get(latest)
  if (entry !== undefined) return <Toast key={entry.request.id} entry={entry} onUndo={onUndo} />
  return notice === undefined ? null : <NoticeToast notice={notice} onOpen={onOpen} />
}

const shape =
  'fixed inset-x-4 bottom-36 z-10 mx-auto flex w-fit max-w-[min(640px,calc(100vw-32px))] items-center gap-3 rounded-box ' +
  'bg-ink px-3.5 py-2 text-ground shadow-float wide:bottom-[76px]'
const link =
  '-my-1 flex items-center gap-2 rounded-small px-1 py-1 font-medium underline-offset-2 hover:underline pointer-coarse:min-h-11'

/** It stays until it is opened or the next decision, because somebody believed that they had decided. */
function NoticeToast({ notice, onOpen }: { readonly notice: Notice; readonly onOpen: (id: string) => void }) {
  const text = useNoticeText(notice)
  useEffect(() => announce(text), [text])
  return (
    <div className={shape}>
      <span className="min-w-0">
        <bdi className="block truncate opacity-80">{notice.title}</bdi>
        {text}
      </span>
      <button type="button" className={link} onClick={() => onOpen(notice.id)}>
        {say('notice.open')}
      </button>
    </div>
  )
}

function Toast({ entry, onUndo }: { readonly entry: Decided; readonly onUndo: (decided: Decided) => void }) {
  const { request, decision, status, heldUntil } = entry
  const seconds = useSecondsLeft(heldUntil)
  useEffect(() => {
    if (status !== 'released') return
    const timer = setTimeout(() => dismiss(request.id), lingerMs)
    return () => clearTimeout(timer)
  }, [status, request.id])
  return (
    <div className={shape}>
      <span className="min-w-0 truncate">
        {say(`decided.${decision}`)} <bdi className="opacity-80">{request.title}</bdi>
      </span>
      {status === 'held' ? (
        <>
          <b className="tabular font-semibold">{say('time.seconds', { count: seconds })}</b>
          <button type="button" className={link} onClick={() => onUndo(entry)}>
            {say('undo')}
            <Kbd className="border-ground/40 text-inherit">{keyLabel('undo')}</Kbd>
          </button>
        </>
      ) : (
        <span className="opacity-80">{say(`decided.status.${status}`)}</span>
      )}
    </div>
  )
}
