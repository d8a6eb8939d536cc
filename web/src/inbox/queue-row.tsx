import { useAgentName } from '../api/names.ts'
import type { Highlight, Request } from '../api/requests.ts'
import { isOpen } from '../deciding/rules.ts'
import { riskOf } from '../design/risk.ts'
import { RiskShape, RiskWord } from '../design/risk-mark.tsx'
import { useNow } from '../design/use-now.ts'
import { AgentText } from '../rendering/agent-text.tsx'
import { say } from '../words/say.ts'
import { absolute, duration, relative } from '../words/times.ts'
import { MarkedText } from './marked-text.tsx'
import { PresenceMark } from './presence.tsx'
import { dueSoonMs } from './queues.ts'

export interface QueueRowProps {
  readonly request: Request
  readonly isCompact: boolean
  /** Where it was found by its words. */
  readonly highlights?: readonly Highlight[] | undefined
}

/** What a list says of a request: verb and object, who asks or what was found, how risky it is, how long there is. */
export function QueueRow({ request, isCompact, highlights = [] }: QueueRowProps) {
  const risk = riskOf(request.risk)
  const agent = useAgentName(request.agent_id)
  const title = highlights.find(({ field }) => field === 'title')
  const elsewhere = highlights.find(({ field }) => field !== 'title')
  const environment = request.presentation?.environment
  return (
    <span className="grid h-full grid-cols-[14px_minmax(0,1fr)_auto] content-center gap-x-2.5 gap-y-0.5 ps-3.5 pe-4">
      <RiskShape risk={risk} className="self-center" />
      <span className="truncate font-medium [text-align:match-parent]" dir="auto">
        {title === undefined ? <AgentText text={request.title} /> : <MarkedText parts={title.parts} />}
      </span>
      <TimeLeft request={request} />
      <span
        className={`col-start-2 col-end-4 flex min-w-0 items-center gap-2 text-mute text-small ${isCompact ? 'leading-4' : ''}`}
      >
        <RiskWord risk={risk} />
        {elsewhere === undefined ? null : (
          <span className="truncate" dir="auto">
            <MarkedText parts={elsewhere.parts} />
          </span>
        )}
        <span className={elsewhere === undefined ? 'truncate' : 'sr-only'}>
          <bdi>{agent ?? say('row.agent')}</bdi>
          {environment == null ? null : (
            <>
              {' · '}
              <AgentText text={environment} />
            </>
          )}
        </span>
        <PresenceMark id={request.id} />
      </span>
    </span>
  )
}

function TimeLeft({ request }: { readonly request: Request }) {
  const now = useNow()
  if (!isOpen(request)) {
    const { decided_by, response, state } = request
    const decision = response?.decision
    const word =
      decided_by !== null && isDecision(decision)
        ? say(`row.${decision}`)
        : say(state === 'cancelled' ? 'row.cancelled' : state === 'timeout' ? 'row.timeout' : 'row.answered')
    return <span className="text-faint">{word}</span>
  }
  const { timeout_at, created_at } = request
  if (timeout_at === null) {
    const asked = new Date(created_at)
    return (
      <time dateTime={created_at} title={absolute(asked)} className="tabular text-faint">
        {relative(asked, now)}
      </time>
    )
  }
  const due = new Date(timeout_at)
  const left = due.getTime() - now.getTime()
  return (
    <time
      dateTime={timeout_at}
      title={absolute(due)}
      className={`tabular ${left <= dueSoonMs ? 'font-medium text-high' : 'text-faint'}`}
    >
      {duration(left / 1_000)}
      <span className="sr-only"> {say('row.left')}</span>
    </time>
  )
}

const isDecision = (given: unknown): given is 'approve' | 'reject' | 'request_changes' | 'acknowledge' =>
  ['approve', 'reject', 'request_changes', 'acknowledge'].includes(String(given))
