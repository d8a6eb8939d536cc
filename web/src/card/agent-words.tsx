import { say } from '../words/say.ts'
import { VisibleText } from './visible-text.tsx'

/** What the agent wrote, marked as such and set apart, so that nobody takes it for the service's own words. */
export function AgentWords({ label, text }: { readonly label: string; readonly text: string }) {
  return (
    <section className="mt-4 rounded-box bg-agent px-3.5 py-3" aria-label={say('card.by_agent', { what: label })}>
      <h2 className="mb-1 text-faint text-small">{say('card.by_agent', { what: label })}</h2>
      <p className="whitespace-pre-wrap break-words" dir="auto">
        <VisibleText text={text} />
      </p>
    </section>
  )
}
