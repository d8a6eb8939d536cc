import type { Highlight } from '../api/requests.ts'
import { Segments } from '../rendering/agent-text.tsx'

type Part = Highlight['parts'][number]

/** A piece of somebody's text, with what was searched for marked in it. */
export function MarkedText({ parts }: { readonly parts: readonly Part[] }) {
  return <bdi>{parts.map(partView)}</bdi>
}

function partView({ text, match }: Part, at: number) {
  if (!match) return <Segments key={at} text={text} />
  return (
    <mark key={at} className="rounded-small bg-agent font-semibold text-inherit">
      <Segments text={text} />
    </mark>
  )
}
