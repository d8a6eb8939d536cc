import type { ReactNode } from 'react'
import { useAgentName } from '../api/names.ts'
import type { Request } from '../api/requests.ts'
import { riskOf } from '../design/risk.ts'
import { RiskShape, RiskWord } from '../design/risk-mark.tsx'
import { useNow } from '../design/use-now.ts'
import { say } from '../words/say.ts'
import { absolute, relative } from '../words/times.ts'
import { AgentWords } from './agent-words.tsx'
import { Fields } from './fields.tsx'
import { Label } from './label.tsx'
import { Raw } from './raw.tsx'
import { VisibleText } from './visible-text.tsx'

export interface CardProps {
  readonly request: Request
  readonly isRawOpen: boolean
  readonly onToggleRaw: (open: boolean) => void
  /** What comes before the card's own parts: how a decision about it went. */
  readonly children?: ReactNode
}

/** One request, in the order in which a person decides. */
export function Card({ request, isRawOpen, onToggleRaw, children }: CardProps) {
  const { title, justification, description, context, presentation, action } = request
  return (
    <article aria-labelledby="card-title" className="max-w-[820px] px-4 py-5 wide:px-8 wide:py-6">
      {children}
      <h1
        id="card-title"
        tabIndex={-1}
        className="break-words font-semibold text-[18px]/[25px] tracking-[-.01em] outline-none wide:text-title"
        dir="auto"
      >
        <VisibleText text={title} />
      </h1>
      <Meta request={request} />
      {justification === null ? null : <AgentWords label={say('card.why')} text={justification} />}
      {description === null ? null : <AgentWords label={say('card.description')} text={description} />}
      {action === null ? null : (
        <section aria-label={say('card.action')}>
          <Label>{say('card.action')}</Label>
          <p className="mb-2 font-mono text-small" dir="ltr">
            <VisibleText text={action.name} />
          </p>
          <Fields value={action.args} pointer="/action/args" hints={presentation?.hints} />
        </section>
      )}
      {presentation?.consequences == null ? null : (
        <AgentWords label={say('card.consequences')} text={presentation.consequences} />
      )}
      {Object.keys(context).length === 0 ? null : (
        <section aria-label={say('card.context')}>
          <Label>{say('card.context')}</Label>
          <Fields value={context} pointer="/context" hints={presentation?.hints} />
        </section>
      )}
      <Raw request={request} isOpen={isRawOpen} onToggle={onToggleRaw} />
    </article>
  )
}

function Meta({ request }: { readonly request: Request }) {
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
          <bdi>
            <VisibleText text={presentation.environment} />
          </bdi>
        </li>
      )}
      <li>
        <time dateTime={request.created_at} title={absolute(asked)}>
          {say('card.asked', { time: relative(asked, now) })}
        </time>
      </li>
      {presentation?.reversible === false ? <li>{say('card.not_reversible')}</li> : null}
      {request.revision > 1 ? <li>{say('card.revision', { revision: request.revision })}</li> : null}
      {request.agent_paused ? <li className="text-high">{say('card.agent_paused')}</li> : null}
    </ul>
  )
}
