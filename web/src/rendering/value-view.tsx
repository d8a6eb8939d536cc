import { type ReactNode, useState } from 'react'
import { say } from '../words/say.ts'
import { AgentText } from './agent-text.tsx'
import { CodeView } from './code-view.tsx'
import { DiffView, PatchView } from './diff/diff-view.tsx'
import { plainLines } from './diff/plain-lines.ts'
import type { Hint, Hints } from './hints.ts'
import { ImageView, isPicture } from './image-view.tsx'
import { type Language, languageOf } from './language.ts'
import { Link } from './link.tsx'
import { LongText } from './long-text.tsx'
import { MailView } from './mail-view.tsx'
import { MarkdownView } from './markdown-view.tsx'
import { Moment } from './moment.tsx'
import { money } from './money.ts'
import { isObject, type Place, pointerOf } from './pointer.ts'
import { type Around, changeIn, isPatch, labelOf, type Shape, shapeOf, webUrl } from './shape.ts'
import { TableView } from './table-view.tsx'

/** A value and where it stands, from /context or /action on. */
interface Stands {
  readonly value: unknown
  readonly place: Place
  readonly hints: Hints
  readonly label: string
  readonly around?: Around
}

/** How something is drawn: within a line, or as a block of its own. */
interface Drawn {
  readonly isBlock: boolean
  readonly node: ReactNode
}

const inLine = (node: ReactNode): Drawn => ({ isBlock: false, node })
const block = (node: ReactNode): Drawn => ({ isBlock: true, node })

/** Deeper than this, parts are closed until somebody opens them; they are not drawn before. */
const openDepth = 3
/** A small part is open however deep it is, within reason. */
const deepestSmall = 10
const smallSize = 40
const mostMembers = 40

/** Each member of a record with its label: how a context and an action's arguments are shown. */
export function RecordView({ value, place, hints }: Omit<Stands, 'label' | 'around'>) {
  const isWhole = !isObject(value) || shapeOf(value).is === 'mail' || hints.has(pointerOf(place))
  if (isWhole) return drawn({ value, place, hints, label: say('shown.whole') }).node
  return <Members value={value} place={place} hints={hints} />
}

interface MembersProps {
  readonly value: Readonly<Record<string, unknown>>
  readonly place: Place
  readonly hints: Hints
}

function Members({ value, place, hints }: MembersProps) {
  const [shown, setShown] = useState(mostMembers)
  const names = Object.keys(value)
  // Two members that are a before and an after are one change, whatever stands beside them.
  const change = hints.has(pointerOf([...place, ...(changeIn(value)?.slice(0, 1) ?? [''])])) ? null : changeIn(value)
  const rest = names.filter((name) => change === null || !change.includes(name))
  return (
    <div className="grid gap-y-1.5">
      {rest.slice(0, shown).map((name) => (
        <Member key={name} record={value} name={name} place={place} hints={hints} />
      ))}
      {rest.length > shown ? (
        <More onClick={() => setShown(shown * 4)}>{say('shown.more', { count: rest.length - shown })}</More>
      ) : null}
      {change === null ? null : (
        <div className="my-1 grid grid-cols-[minmax(0,1fr)] gap-1">
          <span className="text-mute">{say('shown.change')}</span>
          <ChangeView
            before={value[change[0]]}
            after={value[change[1]]}
            language={languageBeside(value)}
            label={say('shown.change')}
          />
        </div>
      )}
    </div>
  )
}

interface MemberProps {
  readonly record: Readonly<Record<string, unknown>>
  readonly name: string
  readonly place: Place
  readonly hints: Hints
}

function Member({ record, name, place, hints }: MemberProps) {
  const here = [...place, name]
  const label = hints.get(pointerOf(here))?.label ?? labelOf(name)
  const { isBlock, node } = drawn({ value: record[name], place: here, hints, label, around: { name, beside: record } })
  const term = (
    <span title={name} className="text-mute">
      <AgentText text={label} className="wrap-anywhere" />
    </span>
  )
  if (isBlock) {
    return (
      <div className="my-1 grid grid-cols-[minmax(0,1fr)] gap-1">
        {term}
        {node}
      </div>
    )
  }
  return (
    <div className="grid grid-cols-[minmax(0,104px)_minmax(0,1fr)] gap-x-2 wide:grid-cols-[minmax(0,128px)_minmax(0,1fr)]">
      {term}
      <span className="min-w-0 wrap-anywhere">{node}</span>
    </div>
  )
}

/** One value, as a block, with its hint. */
export function ValueView(stands: Stands) {
  return drawn(stands).node
}

function drawn(stands: Stands): Drawn {
  const hint = stands.hints.get(pointerOf(stands.place))
  return (hint === undefined ? null : asHinted(stands, hint)) ?? asShaped(stands, shapeOf(stands.value, stands.around))
}

/** As the agent would like it; null where the value is nothing of the kind. */
function asHinted(stands: Stands, hint: Hint): Drawn | null {
  const { value, label } = stands
  const code = (language: Language | null): Drawn | null =>
    typeof value === 'string' ? block(<CodeView text={value} language={language} label={label} />) : null
  switch (hint.render) {
    case 'diff':
      return asDiff(stands, hint)
    case 'code':
      return code(languageOf(hint.language))
    case 'sql':
      return code('sql')
    case 'shell':
      return code('shellscript')
    case 'markdown':
      return typeof value === 'string' ? block(<MarkdownView text={value} />) : null
    case 'image':
      return isPicture(value) || (typeof value === 'string' && webUrl(value) !== null)
        ? block(<ImageView value={value} label={label} />)
        : null
    case 'table':
      return asTable(stands)
    case 'email':
      return isObject(value) ? asMail(stands) : null
    case 'url': {
      const url = typeof value === 'string' ? webUrl(value) : null
      return url === null ? null : inLine(<Link url={url} />)
    }
    case 'money':
      return asMoney(value, hint.currency)
    case 'json':
      return block(<CodeView text={jsonOf(value)} language="json" label={label} />)
    case 'text':
      return typeof value === 'string' ? block(<LongText text={value} />) : null
    default:
      return null
  }
}

function asShaped(stands: Stands, shape: Shape): Drawn {
  const { value, label } = stands
  switch (shape.is) {
    case 'nothing':
      return inLine(<span className="text-faint">{emptyWord(value)}</span>)
    case 'flag':
      return inLine(<span className="font-medium">{say(value === true ? 'shown.yes' : 'shown.no')}</span>)
    case 'number':
      return inLine(<span className="tabular font-medium">{String(value)}</span>)
    case 'money':
      return inLine(
        <span className="tabular font-semibold">
          {String(value)} {shape.currency}
        </span>,
      )
    case 'url':
      return inLine(<Link url={shape.url} />)
    case 'date':
      return inLine(<Moment at={shape.at} hasTime={shape.hasTime} text={String(value)} />)
    case 'email':
    case 'line':
      return value === ''
        ? inLine(<span className="text-faint">{say('shown.empty')}</span>)
        : inLine(<AgentText text={String(value)} />)
    case 'text':
      return block(<LongText text={String(value)} />)
    case 'code':
      return block(<CodeView text={readable(String(value), shape.language)} language={shape.language} label={label} />)
    case 'patch':
      return block(<PatchView patch={String(value)} label={label} />)
    case 'change': {
      const view = <ChangeView {...shape} label={label} />
      return isShort(shape.before) && isShort(shape.after) ? inLine(view) : block(view)
    }
    case 'mail':
      return asMail(stands) ?? block(<Nested {...stands} />)
    case 'table':
      return asTable(stands) ?? asItems(stands)
    case 'list':
      return asList(stands)
    case 'items':
      return asItems(stands)
    case 'record':
      return block(<Nested {...stands} />)
  }
}

const emptyWord = (value: unknown): string =>
  Array.isArray(value) ? say('shown.empty_list') : isObject(value) ? say('shown.empty_record') : say('shown.null')

/** JSON in a text is easier to read with its lines. */
const readable = (text: string, language: Language | null): string =>
  language === 'json' && !text.includes('\n') ? jsonOf(JSON.parse(text)) : text

const jsonOf = (value: unknown): string => JSON.stringify(value, null, 2) ?? ''

function asDiff({ value, label, around }: Stands, hint: Hint): Drawn | null {
  const language = languageOf(hint.language) ?? (around === undefined ? null : languageBeside(around.beside))
  if (hint.before !== undefined) {
    return block(<ChangeView before={hint.before} after={value} language={language} label={label} />)
  }
  if (typeof value === 'string' && isPatch(value)) return block(<PatchView patch={value} label={label} />)
  const pair = isObject(value) ? changeIn(value) : null
  if (pair === null || !isObject(value)) return null
  return block(<ChangeView before={value[pair[0]]} after={value[pair[1]]} language={language} label={label} />)
}

interface ChangeViewProps {
  readonly before: unknown
  readonly after: unknown
  readonly language: Language | null
  readonly label: string
}

/** From one value to another, of any kind. */
export function ChangeView({ before, after, language, label }: ChangeViewProps) {
  if (isShort(before) && isShort(after)) {
    return (
      <span className="tabular wrap-anywhere">
        <del className="rounded-small bg-removed-word px-1 no-underline forced-colors:line-through">
          <span className="sr-only">{say('diff.removed')} </span>
          <AgentText text={shortOf(before)} />
        </del>
        <span aria-hidden="true" className="mx-1.5 inline-block text-mute rtl:-scale-x-100">
          {'\u2192'}
        </span>
        <ins className="rounded-small bg-added-word px-1 font-medium no-underline forced-colors:underline">
          <span className="sr-only">{say('diff.added')} </span>
          <AgentText text={shortOf(after)} />
        </ins>
      </span>
    )
  }
  const areTexts = typeof before === 'string' && typeof after === 'string'
  return (
    <DiffView
      before={before === null || before === undefined ? '' : plainLines(before)}
      after={after === null || after === undefined ? '' : plainLines(after)}
      language={areTexts ? language : null}
      label={label}
    />
  )
}

/** One word against another needs no lines. */
const isShort = (value: unknown): boolean =>
  typeof value !== 'object' && value !== undefined && String(value).length <= 60 && !/[\n\r]/.test(String(value))

const shortOf = (value: unknown): string =>
  value === '' ? say('shown.empty') : typeof value === 'boolean' ? say(value ? 'shown.yes' : 'shown.no') : String(value)

function languageBeside(record: Readonly<Record<string, unknown>>): Language | null {
  const shape = shapeOf('x', { name: 'content', beside: record })
  return shape.is === 'code' ? shape.language : null
}

function asMoney(value: unknown, currency: string | null): Drawn | null {
  const amount = isObject(value) ? value.amount : value
  const own = isObject(value) && typeof value.currency === 'string' ? value.currency : null
  const text = money(amount, currency ?? own)
  return text === null ? null : inLine(<span className="tabular font-semibold">{text}</span>)
}

function asTable({ value, place, hints, label }: Stands): Drawn | null {
  if (!Array.isArray(value) || value.length === 0) return null
  const cellOf = (item: unknown, row: number, column: string | number, beside: Readonly<Record<string, unknown>>) =>
    item === undefined ? null : (
      <ValueView
        value={item}
        place={[...place, row, column]}
        hints={hints}
        label={String(column)}
        around={{ name: String(column), beside }}
      />
    )
  if (value.every(isObject)) {
    const names = [...new Set(value.flatMap((row) => Object.keys(row)))].slice(0, 50)
    return block(
      <TableView
        label={label}
        columns={names.map(labelOf)}
        rows={value.map((row) => names.map((name) => row[name]))}
        cell={(item, row, column) => cellOf(item, row, names[column] ?? '', value[row] ?? {})}
      />,
    )
  }
  if (!value.every(Array.isArray)) return null
  const width = Math.min(50, Math.max(...value.slice(0, 1_000).map((row) => row.length)))
  const [first, ...rest] = value as readonly (readonly unknown[])[]
  const hasHead =
    rest.length > 0 && first !== undefined && first.every((name) => typeof name === 'string' && name !== '')
  const unique = new Set(first?.map(String)).size === first?.length && first?.length === width
  const isHead = hasHead && unique
  return block(
    <TableView
      label={label}
      columns={Array.from({ length: width }, (_, at) => (isHead ? String(first?.[at]) : String(at + 1)))}
      rows={isHead ? rest : (value as readonly (readonly unknown[])[])}
      cell={(item, row, column) => cellOf(item, row + (isHead ? 1 : 0), column, {})}
    />,
  )
}

function asMail({ value, place, hints }: Stands): Drawn | null {
  if (!isObject(value) || shapeOf(value).is !== 'mail') return null
  return block(
    <MailView mail={value} part={(name) => <Member record={value} name={name} place={place} hints={hints} />} />,
  )
}

const shortList = 6

function asList({ value, place, hints, label }: Stands): Drawn {
  const items = value as readonly unknown[]
  const isShort = items.length <= shortList && items.every((item) => String(item).length <= 40)
  if (isShort) {
    return inLine(
      <span className="flex flex-wrap gap-1.5">
        {items.map((item, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: entries may repeat
          <span key={at} className="rounded-small border border-line px-1.5">
            <ValueView value={item} place={[...place, at]} hints={hints} label={label} />
          </span>
        ))}
      </span>,
    )
  }
  return asItems({ value, place, hints, label })
}

function asItems(stands: Stands): Drawn {
  return block(<Items {...stands} />)
}

function Items({ value, place, hints, label }: Stands) {
  const [shown, setShown] = useState(shortList * 4)
  const items = value as readonly unknown[]
  return (
    <Foldable place={place} value={value} summary={say('shown.entries', { count: items.length })}>
      {() => (
        <ol className="grid gap-1 border-line border-s ps-3">
          {items.slice(0, shown).map((item, at) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: entries have no names
            <li key={at} className="min-w-0 wrap-anywhere">
              <ValueView value={item} place={[...place, at]} hints={hints} label={`${label} ${at + 1}`} />
            </li>
          ))}
          {items.length > shown ? (
            <li>
              <More onClick={() => setShown(shown * 4)}>{say('shown.more', { count: items.length - shown })}</More>
            </li>
          ) : null}
        </ol>
      )}
    </Foldable>
  )
}

function Nested({ value, place, hints }: Stands) {
  return (
    <Foldable
      place={place}
      value={value}
      summary={say('shown.members', { count: Object.keys(value as object).length })}
    >
      {() => (
        <div className="border-line border-s ps-3">
          <RecordView value={value} place={place} hints={hints} />
        </div>
      )}
    </Foldable>
  )
}

interface FoldableProps {
  readonly place: Place
  readonly value: unknown
  readonly summary: string
  readonly children: () => ReactNode
}

function Foldable({ place, value, summary, children }: FoldableProps) {
  const isPlain = place.length <= openDepth || (place.length <= deepestSmall && sizeOf(value, smallSize) < smallSize)
  const [isOpen, setOpen] = useState(false)
  if (isPlain) return children()
  return (
    <details open={isOpen} onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary className="text-mute">{summary}</summary>
      {isOpen ? children() : null}
    </details>
  )
}

function More({ onClick, children }: { readonly onClick: () => void; readonly children: string }) {
  return (
    <button type="button" onClick={onClick} className="justify-self-start text-accent text-small">
      {children}
    </button>
  )
}

/** How many values there are in it; counting ends at `most`. */
function sizeOf(value: unknown, most: number): number {
  if (typeof value !== 'object' || value === null) return 1
  let size = 1
  for (const item of Object.values(value)) {
    if (size >= most) return most
    size += sizeOf(item, most - size)
  }
  return size
}
