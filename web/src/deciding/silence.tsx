import { Trans } from '@lingui/react'
import type { Request } from '../api/requests.ts'
import { useNow } from '../design/use-now.ts'
import { say } from '../words/say.ts'
import { absolute, clockTime } from '../words/times.ts'
import { isOpen } from './rules.ts'

/** What happens when nobody answers. */
export function Silence({ request }: { readonly request: Request }) {
  const now = useNow()
  if (!isOpen(request)) return null
  const { timeout_at } = request
  return (
    <p className="-order-1 basis-full text-mute text-small leading-4 wide:order-none wide:ms-auto wide:basis-auto wide:text-end">
      {timeout_at === null ? (
        say('silence.never')
      ) : (
        <time dateTime={timeout_at} title={absolute(new Date(timeout_at))}>
          <Trans
            id="silence.expires"
            values={{ time: clockTime(new Date(timeout_at), now) }}
            components={{ 0: <b className="font-semibold text-ink" /> }}
          />
        </time>
      )}
    </p>
  )
}
