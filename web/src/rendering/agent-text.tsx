import { Fragment, useMemo } from 'react'
import { say } from '../words/say.ts'
import { type Segment, segmentsOf } from './visible-text.ts'

export interface AgentTextProps {
  readonly text: string
  /** Keeps line ends. */
  readonly lines?: boolean
  readonly className?: string
}

/**
 * Text that is not ours, wherever it stands: isolated, so that its direction changes nothing around it, with what is invisible or
 * passes for something else made visible. Nothing in it is ever markup.
 */
export function AgentText({ text, lines = false, className }: AgentTextProps) {
  const isLong = text.length > mostCharacters
  const segments = useMemo(() => segmentsOf(text.slice(0, mostCharacters), lines ? 'lines' : 'line'), [text, lines])
  return (
    <bdi className={className}>
      {segments.map(segmentView)}
      {isLong ? <span className="text-mute">{say('text.cut', { count: text.length - mostCharacters })}</span> : null}
    </bdi>
  )
}

/** What is longer is shown in full by LongText, CodeView and the raw view. */
const mostCharacters = 20_000

/** For text that is isolated already, such as a line of code. */
export function Segments({ text, lines = false }: Omit<AgentTextProps, 'className'>) {
  return segmentsOf(text, lines ? 'lines' : 'line').map(segmentView)
}

function segmentView(segment: Segment, at: number) {
  if (segment.kind === 'plain') return <Fragment key={at}>{segment.text}</Fragment>
  if (segment.kind === 'unseen') {
    const shown =
      segment.count === 1 ? segment.code : say('text.repeated', { code: segment.code, count: segment.count })
    return (
      <span
        key={at}
        title={say('text.unseen', { code: segment.code })}
        className="mx-px rounded-small border border-critical px-0.5 font-mono text-[10px] text-critical"
      >
        {shown}
      </span>
    )
  }
  return (
    <span key={at} title={say('text.lookalike', { script: segment.script })}>
      <span className="underline decoration-critical decoration-wavy underline-offset-2">{segment.text}</span>
      <span className="mx-px rounded-small border border-critical px-0.5 font-mono text-[10px] text-critical">
        {segment.script === 'other form' ? say('text.other_form') : segment.script}
      </span>
    </span>
  )
}
