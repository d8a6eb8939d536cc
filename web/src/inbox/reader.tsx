import { useQuery } from '@tanstack/react-query'
import { ArrowLeft, ChevronDown, ChevronUp } from 'lucide-react'
import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { isRefused } from '../api/refused.ts'
import { isWhole, type Request, requestQuery } from '../api/requests.ts'
import { Card } from '../card/card.tsx'
import { ActionBar } from '../deciding/action-bar.tsx'
import { isAnswerable } from '../deciding/rules.ts'
import { Button } from '../design/button.tsx'
import { useKeys } from '../keys/keyboard.ts'
import { useLook } from '../live/look.ts'
import { diffMode } from '../rendering/diff/mode.ts'
import { say } from '../words/say.ts'
import { AwayLine } from './away-line.tsx'
import { IconButton } from './icon-button.tsx'
import { useLookedAt } from './looked.ts'
import { PresenceLine } from './presence.tsx'
import { SnoozeButton } from './snooze-button.tsx'
import { ChangedLine, Verdict } from './verdict.tsx'

export interface ReaderProps {
  readonly id: string
  readonly isAtRest: boolean
  /** What the list knows of it, which is painted until all of it is there. */
  readonly known: Request | undefined
  readonly place: { readonly index: number; readonly count: number; readonly isMore: boolean } | null
  readonly cameByItself: boolean
  readonly onMove: (step: 1 | -1) => void
  readonly onBack: () => void
  readonly onDecided: (request: Request) => void
}

/** One request, whole, with what can be done about it. */
export function Reader({ id, isAtRest, known, place, cameByItself, onMove, onBack, onDecided }: ReaderProps) {
  const listed = known !== undefined && isWhole(known) ? known : undefined
  // What the list has whole is read again only where the person stays.
  const { data, error } = useQuery({ ...requestQuery(id), enabled: isAtRest || listed === undefined })
  const request = (data as Request | undefined) ?? listed
  const [isRawOpen, setIsRawOpen] = useState(false)
  const [areChangesOpen, setChangesOpen] = useState(false)
  const [since, lookedAt] = useLookedAt(isAtRest ? request : undefined)
  const scroller = useRef<HTMLDivElement>(null)
  // biome-ignore lint/correctness/useExhaustiveDependencies: another card begins at its top
  useEffect(() => {
    scroller.current?.scrollTo({ top: 0 })
    setIsRawOpen(false)
    setChangesOpen(false)
  }, [id])
  const toggleChanges = useCallback(() => setChangesOpen((open) => !open), [])
  // The same element, so that the card is not drawn again for the list's sake.
  // biome-ignore lint/correctness/useExhaustiveDependencies: `lookedAt` is about the request
  const before = useMemo(
    () =>
      request === undefined ? null : (
        <>
          <Verdict request={request} />
          {since === null ? null : <ChangedLine onShow={() => setChangesOpen(true)} onClose={lookedAt} />}
        </>
      ),
    [request, since],
  )
  useLook(request === undefined || !isAtRest ? null : id)
  useKeys({
    back: onBack,
    nextInReader: () => onMove(1),
    previousInReader: () => onMove(-1),
    ...(request === undefined ? {} : { raw: () => setIsRawOpen((open) => !open) }),
    ...(request === undefined || request.revision === 1 ? {} : { changes: toggleChanges }),
    diffMode: diffMode.toggle,
    copyLink: () => void navigator.clipboard?.writeText(location.href),
  })
  return (
    <section aria-label={say('reader.title')} className="flex min-h-0 min-w-0 flex-col bg-pane">
      <header className="flex h-12 shrink-0 items-center gap-1.5 border-line border-b px-2 wide:px-4">
        <IconButton label={say('reader.back')} onClick={onBack} className="wide:hidden">
          <ArrowLeft className="size-[18px] rtl:-scale-x-100" aria-hidden="true" />
        </IconButton>
        <p className="tabular shrink-0 px-2 text-mute">
          {place === null
            ? null
            : say(
                place.isMore ? 'reader.place_of_many' : 'reader.place',
                place.isMore ? { index: place.index } : { index: place.index, count: place.count },
              )}
        </p>
        <PresenceLine id={id} />
        <span className="ms-auto flex shrink-0 gap-1">
          {request === undefined ? null : <SnoozeButton key={request.id} request={request} onMoved={onDecided} />}
          <IconButton label={say('key.previousInReader')} onClick={() => onMove(-1)} act="previousInReader">
            <ChevronUp className="size-4" aria-hidden="true" />
          </IconButton>
          <IconButton label={say('key.nextInReader')} onClick={() => onMove(1)} act="nextInReader">
            <ChevronDown className="size-4" aria-hidden="true" />
          </IconButton>
        </span>
      </header>
      <AwayLine className="wide:hidden" />
      {request === undefined ? (
        <Missing error={error} onBack={onBack} />
      ) : (
        <>
          <section
            ref={scroller}
            className="min-h-0 flex-1 overflow-y-auto"
            // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by the keyboard
            tabIndex={0}
            aria-label={say('reader.card')}
            data-own-arrows
          >
            <Card
              request={request}
              isAnswerable={isAnswerable(request)}
              isRawOpen={isRawOpen}
              onToggleRaw={setIsRawOpen}
              areChangesOpen={areChangesOpen}
              since={since ?? request.revision - 1}
              onToggleChanges={toggleChanges}
            >
              {before}
            </Card>
          </section>
          <ActionBar key={request.id} request={request} cameByItself={cameByItself} onDecided={onDecided} />
        </>
      )}
    </section>
  )
}

function Missing({ error, onBack }: { readonly error: Error | null; readonly onBack: () => void }) {
  if (error === null) {
    return (
      <div className="appear-late grid gap-3 px-4 py-6 wide:px-8" aria-hidden="true">
        <span className="h-6 w-3/5 rounded-small bg-side" />
        <span className="h-4 w-2/5 rounded-small bg-side" />
        <span className="mt-4 h-20 max-w-[760px] rounded-box bg-side" />
      </div>
    )
  }
  return (
    <div role="alert" className="grid justify-items-center gap-3 p-8 text-center">
      <h1 className="text-mute">
        {!isRefused(error) ? say('reader.unseen') : error.status === 404 ? say('reader.missing') : error.message}
      </h1>
      <Button onClick={onBack}>{say('reader.back')}</Button>
    </div>
  )
}
