import { X } from 'lucide-react'
import { usePersonName } from '../api/names.ts'
import type { Request } from '../api/requests.ts'
import { dismiss, type Notice, useDecisions } from '../deciding/decisions.ts'
import { isOpen } from '../deciding/rules.ts'
import { useNoticeText, verdictWord } from '../deciding/use-notice-text.ts'
import { useNow } from '../design/use-now.ts'
import { say } from '../words/say.ts'
import { absolute, relative } from '../words/times.ts'

/** How the decision about the card went: one of ours that did not stand, or the one that somebody made. */
export function Verdict({ request }: { readonly request: Request }) {
  const { notices } = useDecisions()
  const notice = notices.get(request.id)
  return (
    <div role="status" className="empty:hidden">
      {notice === undefined ? null : <NoticeLine notice={notice} />}
      {isOpen(request) || notice?.kind === 'answered' ? null : <OutcomeLine request={request} />}
    </div>
  )
}

const line = 'mb-4 flex items-start gap-2 rounded-box border border-line bg-side px-3.5 py-2.5'

function NoticeLine({ notice }: { readonly notice: Notice }) {
  const text = useNoticeText(notice)
  return (
    <div className={`${line} border-high`}>
      <p className="flex-1">{text}</p>
      <CloseButton onClick={() => dismiss(notice.id)} />
    </div>
  )
}

/** The agent asks something else than when the person looked last. */
export function ChangedLine({ onShow, onClose }: { readonly onShow: () => void; readonly onClose: () => void }) {
  return (
    <div role="status" className={`${line} border-high`}>
      <p className="flex-1">
        {say('card.changed')}{' '}
        <button type="button" className="text-accent underline underline-offset-2" onClick={onShow}>
          {say('key.changes')}
        </button>
      </p>
      <CloseButton onClick={onClose} />
    </div>
  )
}

function CloseButton({ onClick }: { readonly onClick: () => void }) {
  return (
    <button
      type="button"
      aria-label={say('notice.close')}
      className="grid size-6 place-items-center rounded-small hover:bg-pane pointer-coarse:size-11"
      onClick={onClick}
    >
      <X className="size-3.5" aria-hidden="true" />
    </button>
  )
}

function OutcomeLine({ request }: { readonly request: Request }) {
  const { state, response, responded_at, responded_by } = request
  const person = usePersonName(responded_by)
  const now = useNow()
  if (response === null || responded_at === null) {
    return <p className={line}>{say(state === 'cancelled' ? 'verdict.cancelled' : 'verdict.timeout')}</p>
  }
  const at = new Date(responded_at)
  return (
    <div className={line}>
      <div className="min-w-0 flex-1">
        <p>
          <bdi className="font-medium">{person ?? say('person.someone')}</bdi> {say(verdictWord(response.decision))}{' '}
          <time dateTime={responded_at} title={absolute(at)} className="text-mute">
            {relative(at, now)}
          </time>
        </p>
        {response.comment === null ? null : (
          <p className="mt-1 whitespace-pre-wrap break-words text-mute" dir="auto">
            {response.comment}
          </p>
        )}
      </div>
    </div>
  )
}
