import { lazy, Suspense, useEffect, useMemo, useRef, useState } from 'react'
import type { Request } from '../api/requests.ts'
import { announce } from '../design/announcer.tsx'
import { Button } from '../design/button.tsx'
import { ActKey } from '../keys/act-key.tsx'
import { type Act, ariaKey } from '../keys/bindings.ts'
import { useKeys } from '../keys/keyboard.ts'
import { isAway } from '../live/changes.ts'
import type { ListRules } from '../live/merge.ts'
import { SnoozeDialog } from '../snoozing/snooze-dialog.tsx'
import '../words/later.ts'
import { say } from '../words/say.ts'
import { decideMany, snoozeMany } from './acts.ts'
import { NotTogether } from './not-together.tsx'
import { alikeOf, type Chosen, type Parts, partsOf } from './parts.ts'

const RejectMany = lazy(() => import('./reject.tsx').then((part) => ({ default: part.RejectMany })))

export interface BulkBarProps {
  readonly chosen: readonly Chosen[]
  /** What is loaded of the list. */
  readonly requests: readonly Request[]
  readonly lists: readonly ListRules[]
  readonly onSelect: (requests: readonly Request[]) => void
  readonly onClear: () => void
  /** These leave the list. */
  readonly onActed: (requests: readonly Request[]) => void
}

/** What can be done with all that is selected, and what of it is left out. */
export function BulkBar({ chosen, requests, lists, onSelect, onClear, onActed }: BulkBarProps) {
  const [asked, setAsked] = useState<'reject' | 'snooze' | null>(null)
  const bar = useRef<HTMLElement>(null)
  const approving = partsOf(chosen, 'approve')
  const rejecting = partsOf(chosen, 'reject')
  const alike = useMemo(() => alikeOf(requests, chosen), [requests, chosen])
  const count = chosen.length
  useEffect(() => announce(say('bulk.selected', { count })), [count])

  /** Nothing is kept to be sent later, behind the person's back. */
  const isRefusedAway = (): boolean => {
    if (isAway()) announce(say('app.offline'))
    return isAway()
  }
  const approve = (): void => {
    const { ready } = approving
    if (ready.length === 0 || isRefusedAway()) return
    void decideMany(ready, 'approve', '')
    onActed(ready)
  }
  const reject = (comment: string): void => {
    const { ready } = rejecting
    setAsked(null)
    if (ready.length === 0 || isRefusedAway()) return
    void decideMany(ready, 'reject', comment)
    onActed(ready)
  }
  const all = chosen.map(({ request }) => request)
  const [first, ...others] = all
  const snooze = (until: Date): void => {
    setAsked(null)
    if (isRefusedAway()) return
    void snoozeMany(all, until, lists)
    onActed(all)
  }
  /** Where the list is not beside the reader it is not seen, and its keys would act on what is not painted. */
  const seen = (act: () => void) => (): void => {
    if (bar.current?.offsetParent != null) act()
  }
  const ask = (what: 'reject' | 'snooze') => (): void => {
    if (!isRefusedAway()) setAsked(what)
  }
  useKeys({
    approveSelected: seen(approve),
    ...(rejecting.ready.length === 0 ? {} : { rejectSelected: seen(ask('reject')) }),
    snoozeSelected: seen(ask('snooze')),
    ...(alike.length === 0 ? {} : { selectAlike: seen(() => onSelect(alike)) }),
  })
  return (
    <section
      ref={bar}
      aria-label={say('bulk.title')}
      className="grid gap-1.5 border-line border-t bg-side px-4 py-2 pb-[max(8px,env(safe-area-inset-bottom))]"
    >
      <div className="flex flex-wrap items-center gap-x-2 gap-y-1.5">
        <p className="tabular me-auto font-medium">{say('bulk.selected', { count })}</p>
        {alike.length === 0 ? null : (
          <BarButton act="selectAlike" onClick={() => onSelect(alike)}>
            {say('bulk.alike', { count: alike.length })}
          </BarButton>
        )}
        <Button kind="quiet" onClick={onClear}>
          {say('bulk.clear')}
        </Button>
      </div>
      <div className="flex flex-wrap gap-1.5">
        <BarButton act="approveSelected" kind="primary" isOff={approving.ready.length === 0} onClick={approve}>
          {wordOf('approve', approving)}
        </BarButton>
        <BarButton act="rejectSelected" isOff={rejecting.ready.length === 0} onClick={ask('reject')}>
          {wordOf('reject', rejecting)}
        </BarButton>
        <BarButton act="snoozeSelected" onClick={ask('snooze')}>
          {say('action.snooze')}
        </BarButton>
      </div>
      <NotTogether parts={approving} />
      {asked === 'reject' ? (
        <Suspense>
          <RejectMany parts={rejecting} onSend={reject} onClose={() => setAsked(null)} />
        </Suspense>
      ) : null}
      {asked === 'snooze' && first !== undefined ? (
        <SnoozeDialog requests={[first, ...others]} onChoose={snooze} onClose={() => setAsked(null)} />
      ) : null}
    </section>
  )
}

const wordOf = (decision: 'approve' | 'reject', { ready, others }: Parts): string =>
  others.length === 0 ? say(`bulk.all.${decision}`) : say(`bulk.some.${decision}`, { count: ready.length })

interface BarButtonProps {
  readonly act: Act
  readonly onClick: () => void
  readonly kind?: 'primary'
  readonly isOff?: boolean
  readonly children: string
}

function BarButton({ act, onClick, kind, isOff = false, children }: BarButtonProps) {
  return (
    <Button
      kind={kind ?? 'plain'}
      className="flex-1 px-2.5 wide:flex-none"
      disabled={isOff}
      aria-keyshortcuts={ariaKey(act)}
      onClick={onClick}
    >
      {children}
      <span className="hidden full:inline">
        <ActKey act={act} className={kind === 'primary' ? 'border-on-accent/45 text-inherit' : ''} />
      </span>
    </Button>
  )
}
