import { useSyncExternalStore } from 'react'
import { session } from '../api/session.ts'
import { useNow } from '../design/use-now.ts'
import { useConnection } from '../live/changes.ts'
import { say } from '../words/say.ts'
import { clockTime } from '../words/times.ts'

/** That nothing answers, and from when what is shown is. */
export function AwayLine({ className = '' }: { readonly className?: string }) {
  const connection = useConnection()
  const seenAt = useSyncExternalStore(session.subscribe, session.seenAt)
  const now = useNow()
  if (connection !== 'away' && seenAt === null) return null
  return (
    <p role="status" className={`border-line border-b bg-agent px-4 py-2 text-small ${className}`}>
      {seenAt === null ? say('app.offline') : say('app.seen', { time: clockTime(new Date(seenAt), now) })}
    </p>
  )
}
