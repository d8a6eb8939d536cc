import { useEffect } from 'react'
import type { Notice } from '../deciding/decisions.ts'
import { toastLink, toastShape, useSecondsLeft } from '../deciding/hold-toast.tsx'
import { useNoticeText } from '../deciding/use-notice-text.ts'
import { announce } from '../design/announcer.tsx'
import { ActKey } from '../keys/act-key.tsx'
import { AgentText } from '../rendering/agent-text.tsx'
import '../words/later.ts'
import { say } from '../words/say.ts'
import { changeMany, endMany, isUndoable, type Many } from './many.ts'

/** How long a released act is still told. */
const lingerMs = 2_000

/** As many as are listened to. */
const mostNamed = 3

function titlesOf(failed: readonly Pick<Notice, 'title'>[]): string {
  const named = failed.slice(0, mostNamed).map(({ title }) => title)
  return [...named, ...(failed.length > mostNamed ? ['…'] : [])].join(', ')
}

/** One act on many requests: how long all of it can be taken back, and what of it did not stand. */
export function ManyToast(props: {
  readonly many: Many
  /** That of a single decision is shown as well. */
  readonly isAbove: boolean
  readonly onUndo: () => void
  readonly onOpen: (id: string) => void
}) {
  const { many, isAbove, onUndo, onOpen } = props
  const { did, requests, status, heldUntil, failed } = many
  const seconds = useSecondsLeft(heldUntil)
  const isOver = status === 'held' && seconds === 0
  useEffect(() => {
    if (isOver) changeMany(many, () => ({ status: 'released' }))
  }, [isOver, many])
  // What did not stand is told until somebody has seen it, because they believed that they had decided it.
  const goes = status === 'released' && failed.length === 0
  useEffect(() => {
    if (!goes) return
    const timer = setTimeout(() => endMany(many), did === 'snooze' ? 0 : lingerMs)
    return () => clearTimeout(timer)
  }, [goes, did, many])
  useEffect(() => announce(say(`bulk.did.${did}`, { count: requests.length })), [did, requests])
  useEffect(() => {
    if (failed.length > 0) announce(say('bulk.failed', { count: failed.length, titles: titlesOf(failed) }))
  }, [failed])
  const stood = requests.length - failed.length
  const [first] = failed
  return (
    <div className={`${toastShape} ${isAbove ? 'bottom-52 wide:bottom-[132px]' : 'bottom-36 wide:bottom-[76px]'}`}>
      <span className="min-w-0">
        {stood === 0 ? null : <span className="block">{say(`bulk.did.${did}`, { count: stood })}</span>}
        {first === undefined ? null : <Failed count={failed.length} failed={failed} first={first} />}
      </span>
      {first === undefined ? null : (
        <button
          type="button"
          className={toastLink}
          onClick={() => {
            endMany(many)
            onOpen(first.id)
          }}
        >
          {say('notice.open')}
        </button>
      )}
      {isUndoable(many) && stood > 0 ? (
        <>
          {status === 'held' ? (
            <b className="tabular font-semibold">{say('time.seconds', { count: seconds })}</b>
          ) : null}
          <button type="button" className={toastLink} onClick={onUndo}>
            {say('undo')}
            <ActKey act="undo" className="border-ground/40 text-inherit" />
          </button>
        </>
      ) : first !== undefined ? (
        <button type="button" className={toastLink} onClick={() => endMany(many)}>
          {say('bulk.seen')}
        </button>
      ) : status === 'undoing' || (status === 'released' && did !== 'snooze') ? (
        <span className="opacity-80">{say(`decided.status.${status}`)}</span>
      ) : null}
    </div>
  )
}

interface FailedProps {
  readonly count: number
  readonly failed: readonly Notice[]
  readonly first: Notice
}

/** By name, and why the first of them did not stand. Each says its own reason where it is read. */
function Failed({ count, failed, first }: FailedProps) {
  const why = useNoticeText(first)
  return (
    <span className="block">
      {say('bulk.not', { count })} <AgentText text={titlesOf(failed)} className="opacity-80" />
      <span className="block">{why}</span>
    </span>
  )
}
