import { useEffect } from 'react'
import { toastLink, toastShape } from '../deciding/hold-toast.tsx'
import { announce } from '../design/announcer.tsx'
import { ActKey } from '../keys/act-key.tsx'
import { AgentText } from '../rendering/agent-text.tsx'
import { say } from '../words/say.ts'
import { absolute, clockTime } from '../words/times.ts'
import { dismissSnoozed, type Snoozed } from './aside.ts'

/** Nothing is lost when it is gone: the request is in Snoozed, and comes back from there. */
const shownMs = 10_000

/** `isAbove`: that of a decision is shown as well. */
export function SnoozeToast(props: {
  readonly snoozed: Snoozed
  readonly isAbove: boolean
  readonly onUndo: () => void
}) {
  const { snoozed, isAbove, onUndo } = props
  const { request, until } = snoozed
  // biome-ignore lint/correctness/useExhaustiveDependencies: each one is told, and has its own time
  useEffect(() => {
    announce(say('announce.snoozed', { title: request.title, time: clockTime(until, new Date()) }))
    const timer = setTimeout(dismissSnoozed, shownMs)
    return () => clearTimeout(timer)
  }, [snoozed])
  return (
    <div className={`${toastShape} ${isAbove ? 'bottom-52 wide:bottom-[132px]' : 'bottom-36 wide:bottom-[76px]'}`}>
      <span className="min-w-0 truncate">
        <time dateTime={until.toISOString()} title={absolute(until)}>
          {say('snoozed.until', { time: clockTime(until, new Date()) })}
        </time>{' '}
        <AgentText text={request.title} className="opacity-80" />
      </span>
      <button type="button" className={toastLink} onClick={onUndo}>
        {say('undo')}
        <ActKey act="undo" className="border-ground/40 text-inherit" />
      </button>
    </div>
  )
}
