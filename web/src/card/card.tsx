import { lazy, memo, type ReactNode, Suspense, useMemo } from 'react'
import { useAgentName } from '../api/names.ts'
import type { Request } from '../api/requests.ts'
import { riskOf } from '../design/risk.ts'
import { RiskShape, RiskWord } from '../design/risk-mark.tsx'
import { useNow } from '../design/use-now.ts'
import { ariaKey, keyLabel } from '../keys/bindings.ts'
import { asksForMore } from '../questions/question.ts'
import { AgentText } from '../rendering/agent-text.tsx'
import { hintsOf } from '../rendering/hints.ts'
import { Link } from '../rendering/link.tsx'
import { webUrl } from '../rendering/shape.ts'
import { RecordView } from '../rendering/value-view.tsx'
import { say } from '../words/say.ts'
import { absolute, relative } from '../words/times.ts'
import { AgentWords } from './agent-words.tsx'
import { Files } from './files.tsx'
import { GivenAnswer, Outcome } from './given-answer.tsx'
import { Label } from './label.tsx'
import { Raw } from './raw.tsx'

const loadQuestion = () => import('../questions/question-panel.tsx')
const QuestionPanel = lazy(() => loadQuestion().then((part) => ({ default: part.QuestionPanel })))

const Revisions = lazy(() => import('./revisions.tsx').then((part) => ({ default: part.Revisions })))

export interface CardProps {
  readonly request: Request
  /** The person may answer it now. */
  readonly isAnswerable: boolean
  readonly isRawOpen: boolean
  readonly onToggleRaw: (open: boolean) => void
  /** Whether what changed since an earlier revision is shown, and since which one. */
  readonly areChangesOpen: boolean
  readonly since: number
  readonly onToggleChanges: () => void
  /** What comes before the card's own parts: how a decision about it went. */
  readonly children?: ReactNode
}

/** One request, in the order in which a person decides. */
export const Card = memo(function Card({
  request,
  isAnswerable,
  isRawOpen,
  onToggleRaw,
  children,
  ...changes
}: CardProps) {
  const { title, justification, description, context, presentation, action, attachments } = request
  const hints = useMemo(() => hintsOf({ context, action, presentation }), [context, action, presentation])
  const source = presentation?.source_url == null ? null : webUrl(presentation.source_url)
  return (
    <article aria-labelledby="card-title" className="max-w-[820px] px-4 py-5 wide:px-8 wide:py-6">
      {children}
      <h1
        id="card-title"
        tabIndex={-1}
        className="break-words font-semibold text-[18px]/[25px] tracking-[-.01em] outline-none wide:text-title"
      >
        <AgentText text={title} />
      </h1>
      <Meta request={request} isOpen={changes.areChangesOpen} onToggle={changes.onToggleChanges} />
      {changes.areChangesOpen && request.revision > 1 ? (
        <section aria-label={say('card.changes')} className="mb-5 rounded-box border border-line p-3.5">
          <Suspense>
            <Revisions key={`${request.id} ${request.revision}`} request={request} since={changes.since} />
          </Suspense>
        </section>
      ) : null}
      {justification === null ? null : <AgentWords label={say('card.why')} text={justification} />}
      {description === null ? null : (
        <AgentWords label={say('card.description')} text={description} isMarkdown={false} />
      )}
      {action === null ? null : (
        <section aria-label={say('card.action')}>
          <Label>{say('card.action')}</Label>
          <p className="mb-2 font-mono text-small">
            <AgentText text={action.name} />
          </p>
          <RecordView value={action.args} place={['action', 'args']} hints={hints} />
        </section>
      )}
      {presentation?.consequences == null ? null : (
        <AgentWords label={say('card.consequences')} text={presentation.consequences} />
      )}
      {Object.keys(context).length === 0 ? null : (
        <section aria-label={say('card.context')}>
          <Label>{say('card.context')}</Label>
          <RecordView value={context} place={['context']} hints={hints} />
        </section>
      )}
      {attachments.length === 0 ? null : (
        <section aria-label={say('files.title')}>
          <Label>{say('files.title')}</Label>
          <Files requestId={request.id} files={attachments} label={say('files.title')} />
        </section>
      )}
      {source === null ? null : (
        <section aria-label={say('card.source')}>
          <Label>{say('card.source')}</Label>
          <Link url={source} />
        </section>
      )}
      {isAnswerable && asksForMore(request) ? (
        <section aria-label={say('card.answer')}>
          <Label>{say('card.answer')}</Label>
          <Suspense>
            <QuestionPanel key={`${request.id} ${request.revision}`} request={request} />
          </Suspense>
        </section>
      ) : null}
      <GivenAnswer request={request} />
      <Outcome request={request} />
      <Raw request={request} isOpen={isRawOpen} onToggle={onToggleRaw} />
    </article>
  )
})

interface MetaProps {
  readonly request: Request
  readonly isOpen: boolean
  readonly onToggle: () => void
}

function Meta({ request, isOpen, onToggle }: MetaProps) {
  const now = useNow()
  const agent = useAgentName(request.agent_id)
  const risk = riskOf(request.risk)
  const asked = new Date(request.created_at)
  const { presentation } = request
  return (
    <ul className="mt-1.5 mb-5 flex flex-wrap items-center gap-x-3.5 gap-y-1.5 text-mute">
      <li className="inline-flex items-center gap-1">
        <RiskShape risk={risk} />
        <RiskWord risk={risk} long />
      </li>
      <li>
        <bdi>{agent ?? request.agent_id.slice(-8)}</bdi>
      </li>
      {presentation?.environment == null ? null : (
        <li className="rounded-small border border-line px-1.5 text-small">
          <AgentText text={presentation.environment} />
        </li>
      )}
      <li>
        <time dateTime={request.created_at} title={absolute(asked)}>
          {say('card.asked', { time: relative(asked, now) })}
        </time>
      </li>
      {presentation?.reversible === false ? <li>{say('card.not_reversible')}</li> : null}
      {request.revision > 1 ? (
        <li>
          <button
            type="button"
            aria-expanded={isOpen}
            aria-keyshortcuts={ariaKey('changes')}
            title={say('reader.button', { label: say('key.changes'), keys: keyLabel('changes') })}
            className="text-accent underline-offset-2 hover:underline pointer-coarse:min-h-11"
            onClick={onToggle}
          >
            {say('card.revision', { revision: request.revision })}
          </button>
        </li>
      ) : null}
      {request.agent_paused ? <li className="text-high">{say('card.agent_paused')}</li> : null}
    </ul>
  )
}
