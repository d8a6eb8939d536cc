import { AgentText } from '../rendering/agent-text.tsx'
import '../words/later.ts'
import { say } from '../words/say.ts'
import { type Parts, reasons } from './parts.ts'

/** By reason, because a person does something else about each. */
export function NotTogether({ parts: { others } }: { readonly parts: Parts }) {
  if (others.length === 0) return null
  return (
    <ul aria-label={say('bulk.left')} className="grid max-h-24 gap-0.5 overflow-y-auto text-mute text-small">
      {reasons.flatMap((reason) => {
        const of = others.filter((one) => one.reason === reason)
        if (of.length === 0) return []
        return (
          <li key={reason}>
            {say(`bulk.left.${reason}`)}{' '}
            {of.map(({ request }, place) => (
              <span key={request.id}>
                {place === 0 ? '' : ', '}
                <AgentText text={request.title} className="text-ink" />
              </span>
            ))}
          </li>
        )
      })}
    </ul>
  )
}
