import { LongText } from '../rendering/long-text.tsx'
import { MarkdownView } from '../rendering/markdown-view.tsx'
import { say } from '../words/say.ts'

export interface AgentWordsProps {
  readonly label: string
  readonly text: string
  readonly isMarkdown?: boolean
}

/** What the agent wrote, marked as such and set apart, so that nobody takes it for the service's own words. */
export function AgentWords({ label, text, isMarkdown = true }: AgentWordsProps) {
  return (
    <section className="mt-4 rounded-box bg-agent px-3.5 py-3" aria-label={say('card.by_agent', { what: label })}>
      <h2 className="mb-1 text-faint text-small">{say('card.by_agent', { what: label })}</h2>
      {isMarkdown ? <MarkdownView text={text} /> : <LongText text={text} />}
    </section>
  )
}
