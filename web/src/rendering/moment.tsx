import { dateFormat } from '../words/formats.ts'
import { region, say } from '../words/say.ts'
import { absolute, relative } from '../words/times.ts'

export interface MomentProps {
  readonly at: Date
  readonly hasTime: boolean
  /** As it was written. */
  readonly text: string
}

/** A time in the reader's zone, with how far away it is; as it was written on hover. A day alone has no zone. */
export function Moment({ at, hasTime, text }: MomentProps) {
  const time = hasTime
    ? dateFormat(region(), { dateStyle: 'medium', timeStyle: 'short' }).format(at)
    : dateFormat(region(), { dateStyle: 'full', timeZone: 'UTC' }).format(at)
  return (
    <time
      dateTime={text}
      title={hasTime ? say('shown.as_written', { time: absolute(at), text }) : text}
      className="tabular"
    >
      {hasTime ? say('shown.moment', { time, relative: relative(at, new Date()) }) : time}
    </time>
  )
}
