import { useEffect, useState } from 'react'
import { announce } from '../design/announcer.tsx'
import { ActKey } from '../keys/act-key.tsx'
import { AgentText } from '../rendering/agent-text.tsx'
import { say } from '../words/say.ts'
import { type Decided, dismiss, type Notice, shownDecision, useDecisions } from './decisions.ts'
import { useNoticeText } from './use-notice-text.ts'

/** How long a released decision is still told. */
const lingerMs = 2_000

export function useSecondsLeft(until: number): number {
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
  readonly onUndo: () => void
  readonly onOpen: (id: string) => void
}

/** The latest decision, with the time in which it can be taken back, or why it did not stand. */
export function HoldToast({ current, onUndo, onOpen }: HoldToastProps) {
  const decisions = useDecisions()
  const { notices, latest } = decisions
  const entry = shownDecision(decisions)
  if (entry !== null) {
    const { id } = entry.request
    return <Toast key={id} entry={entry} notice={notices.get(id)} onUndo={onUndo} />
  }
  const notice = latest === null || latest === current ? undefined : notices.get(latest)
  return notice === undefined ? null : <NoticeToast notice={notice} onOpen={onOpen} />
}

export const toastShape =
  'fixed inset-x-4 z-10 mx-auto flex w-fit max-w-[min(640px,calc(100vw-32px))] items-center gap-3 rounded-box ' +
  'bg-ink px-3.5 py-2 text-ground shadow-float'
const shape = `${toastShape} bottom-36 wide:bottom-[76px]`
export const toastLink =
  '-my-1 flex items-center gap-2 rounded-small px-1 py-1 font-medium underline-offset-2 hover:underline pointer-coarse:min-h-11'

/** It stays until it is opened or the next decision, because somebody believed that they had decided. */
function NoticeToast({ notice, onOpen }: { readonly notice: Notice; readonly onOpen: (id: string) => void }) {
  return (
    <div className={shape}>
      <span className="min-w-0">
        <AgentText text={notice.title} className="block truncate opacity-80" />
        <NoticeText notice={notice} />
      </span>
      <button type="button" className={toastLink} onClick={() => onOpen(notice.id)}>
        {say('notice.open')}
      </button>
    </div>
  )
}

function NoticeText({ notice }: { readonly notice: Notice }) {
  const text = useNoticeText(notice)
  useEffect(() => announce(text), [text])
  return text
}

interface ToastProps {
  readonly entry: Decided
  readonly notice: Notice | undefined
  readonly onUndo: () => void
}

function Toast({ entry, notice, onUndo }: ToastProps) {
  const { request, decision, status, heldUntil } = entry
  const seconds = useSecondsLeft(heldUntil)
  useEffect(() => {
    if (status !== 'released') return
    const timer = setTimeout(() => dismiss(request.id), lingerMs)
    return () => clearTimeout(timer)
  }, [status, request.id])
  return (
    <div className={shape}>
      <span className={`min-w-0 ${notice === undefined ? 'truncate' : ''}`}>
        {say(`decided.${decision}`)} <AgentText text={request.title} className="opacity-80" />
        {notice === undefined ? null : (
          <span className="block">
            <NoticeText notice={notice} />
          </span>
        )}
      </span>
      {status === 'held' ? (
        <>
          <b className="tabular font-semibold">{say('time.seconds', { count: seconds })}</b>
          <button type="button" className={toastLink} onClick={onUndo}>
            {say('undo')}
            <ActKey act="undo" className="border-ground/40 text-inherit" />
          </button>
        </>
      ) : (
        <span className="opacity-80">{say(`decided.status.${status}`)}</span>
      )}
    </div>
  )
}
