import { ExternalLink } from 'lucide-react'
import { type ComponentType, Suspense } from 'react'
import { useNow } from '../design/use-now.ts'
import { region, say } from '../words/say.ts'
import { absolute, clockTime } from '../words/times.ts'
import { type FieldsProps, type Hints, hintOf, isRecord } from './hints.ts'
import { renderers } from './renderers.ts'
import { VisibleText } from './visible-text.tsx'

/** Deeper than this, JSON is easier to read than labels within labels. */
const deepest = 2
const longestText = 4_000
const mostItems = 50

export interface ValueProps {
  readonly value: unknown
  readonly pointer: string
  readonly hints: Hints
  readonly depth: number
  /** Draws an object; handed in because the two draw one another. */
  readonly nested: ComponentType<FieldsProps> | null
}

/** One value: as its hint says, or as its type says. */
export function Value(props: ValueProps) {
  const hint = hintOf(props.hints, props.pointer)
  const renderer = hint === null ? undefined : renderers.get(hint.render ?? '')
  if (hint === null || renderer === undefined || !renderer.takes(props.value)) return <PlainValue {...props} />
  const Hinted = renderer.component
  return (
    <Suspense fallback={<PlainValue {...props} />}>
      <Hinted value={props.value} hint={hint} pointer={props.pointer} />
    </Suspense>
  )
}

function PlainValue({ value, pointer, hints, depth, nested: Nested }: ValueProps) {
  if (value === null) return <span className="text-faint">{say('value.null')}</span>
  if (typeof value === 'boolean') return say(value ? 'value.true' : 'value.false')
  if (typeof value === 'number') return <NumberValue value={value} />
  if (typeof value === 'string') return <TextValue text={value} />
  const isEmpty = Array.isArray(value) ? value.length === 0 : Object.keys(value as object).length === 0
  if (isEmpty) return <span className="text-faint">{say('value.empty')}</span>
  if (Array.isArray(value) && value.every((item) => typeof item !== 'object' || item === null)) {
    return (
      <ul>
        {value.slice(0, mostItems).map((item, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the items are what the agent sent, and never move
          <li key={index}>
            <PlainValue value={item} pointer={pointer} hints={null} depth={depth} nested={null} />
          </li>
        ))}
        {value.length > mostItems ? (
          <li className="text-mute text-small">{say('card.more_fields', { count: value.length - mostItems })}</li>
        ) : null}
      </ul>
    )
  }
  if (isRecord(value) && Nested !== null && depth < deepest) {
    return <Nested value={value} pointer={pointer} hints={hints} depth={depth + 1} />
  }
  return <JsonValue value={value} />
}

export function JsonValue({ value }: { readonly value: unknown }) {
  const text = JSON.stringify(value, null, 2)
  return (
    <pre
      className="max-h-80 overflow-auto rounded-box border border-line px-3 py-2 font-mono text-small"
      dir="ltr"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by the keyboard
      tabIndex={0}
    >
      <VisibleText text={text.length > longestText ? `${text.slice(0, longestText)}…` : text} />
    </pre>
  )
}

/** Grouped for reading. A number that grouping or rounding would change is written as it was sent. */
function NumberValue({ value }: { readonly value: number }) {
  const grouped = Number.isSafeInteger(value) && Math.abs(value) >= 10_000
  return grouped ? new Intl.NumberFormat(region()).format(value) : String(value)
}

const isoTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/
const plainUrl = /^https?:\/\/[^\s]+$/

function TextValue({ text }: { readonly text: string }) {
  const now = useNow()
  if (text === '') return <span className="text-faint">{say('value.empty')}</span>
  if (isoTime.test(text) && !Number.isNaN(Date.parse(text))) {
    const at = new Date(text)
    return (
      <time dateTime={text} title={absolute(at)}>
        {clockTime(at, now)}
      </time>
    )
  }
  if (plainUrl.test(text) && URL.canParse(text)) return <LinkValue url={new URL(text)} />
  const shown = text.length > longestText ? `${text.slice(0, longestText)}…` : text
  return (
    <span className={text.includes('\n') ? 'whitespace-pre-wrap' : ''} dir="auto">
      <VisibleText text={shown} />
    </span>
  )
}

/** The host as the browser understands it comes first, so that no name or password before an @ is taken for it. */
export function LinkValue({ url }: { readonly url: URL }) {
  const rest = `${url.pathname === '/' ? '' : url.pathname}${url.search}${url.hash}`
  return (
    <a
      href={url.href}
      target="_blank"
      rel="noopener noreferrer"
      className="break-all text-accent underline decoration-1 underline-offset-2"
      dir="ltr"
    >
      {url.host}
      <VisibleText text={rest} />
      <ExternalLink className="ms-1 inline size-3 align-[-1px]" aria-hidden="true" />
      <span className="sr-only">{say('value.new_window')}</span>
    </a>
  )
}
