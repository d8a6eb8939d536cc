import { AlarmClock, AlarmClockOff } from 'lucide-react'
import { lazy, Suspense, useState } from 'react'
import type { Request } from '../api/requests.ts'
import { refuseAway } from '../deciding/decisions.ts'
import { isOpen } from '../deciding/rules.ts'
import { useKeys } from '../keys/keyboard.ts'
import { isAway } from '../live/changes.ts'
import { putAside } from '../snoozing/acts.ts'
import { useAside } from '../snoozing/aside.ts'
import { tellBack } from '../snoozing/tell-back.ts'
import { say } from '../words/say.ts'
import { IconButton } from './icon-button.tsx'
import { queues } from './queues.ts'

const SnoozeDialog = lazy(() =>
  import('../snoozing/snooze-dialog.tsx').then((part) => ({ default: part.SnoozeDialog })),
)

export interface SnoozeButtonProps {
  readonly request: Request
  /** It is out of the list that is shown. */
  readonly onMoved: (request: Request) => void
}

/** Puts the request that is read aside, or brings it back, with one key for both. */
export function SnoozeButton({ request, onMoved }: SnoozeButtonProps) {
  const isAside = useAside().ids.has(request.id)
  const [asked, setAsked] = useState<Request | null>(null)
  const isOffered = isOpen(request)
  const press = (): void => {
    if (isAway()) {
      refuseAway(request)
      return
    }
    if (!isAside) {
      setAsked(request)
      return
    }
    void tellBack(request, queues)
    onMoved(request)
  }
  useKeys(isOffered ? { snooze: press } : {})
  const choose = (until: Date): void => {
    setAsked(null)
    if (isAway()) {
      refuseAway(request)
      return
    }
    void putAside(request, until, queues)
    onMoved(request)
  }
  return (
    <>
      {isOffered ? (
        <IconButton label={say(isAside ? 'action.unsnooze' : 'action.snooze')} onClick={press} act="snooze">
          {isAside ? (
            <AlarmClockOff className="size-4" aria-hidden="true" />
          ) : (
            <AlarmClock className="size-4" aria-hidden="true" />
          )}
        </IconButton>
      ) : null}
      {asked !== null && asked.id === request.id ? (
        <Suspense>
          <SnoozeDialog requests={[request]} onChoose={choose} onClose={() => setAsked(null)} />
        </Suspense>
      ) : null}
    </>
  )
}
