import { useState } from 'react'
import { say } from '../words/say.ts'
import { AgentText } from './agent-text.tsx'

/** So much is shown at first, and so much more at a click: a text may have a million characters. */
const step = 2_000

/** Text of several lines, as it was written. */
export function LongText({ text, className = '' }: { readonly text: string; readonly className?: string }) {
  const [shown, setShown] = useState(step)
  const rest = text.length - shown
  return (
    <div className={`max-w-prose whitespace-pre-wrap wrap-anywhere text-read ${className}`}>
      {pieces(text.slice(0, shown)).map((piece, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: pieces stay in their places
        <AgentText key={at} text={piece} lines />
      ))}
      {rest > 0 ? (
        <button
          type="button"
          className="ms-1 text-accent text-small underline underline-offset-2"
          onClick={() => setShown(shown + 16_000)}
        >
          {say('text.more_characters', { count: rest })}
        </button>
      ) : null}
    </div>
  )
}

/** What AgentText shows whole. */
const piece = 16_000
const pieces = (text: string): readonly string[] =>
  Array.from({ length: Math.ceil(text.length / piece) }, (_, at) => text.slice(at * piece, (at + 1) * piece))
