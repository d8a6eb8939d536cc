import { useMemo, useRef, useState } from 'react'
import { say } from '../../words/say.ts'
import { Segments } from '../agent-text.tsx'
import { CodeLine, longestLine, useTokens } from '../code-view.tsx'
import type { Token } from '../highlight.ts'
import type { Language } from '../language.ts'
import { LineList } from '../line-list.tsx'
import { type DiffLine, readPatch } from './lines.ts'
import { diffMode, useDiffMode } from './mode.ts'
import { hunksOf, partsOf, type Row, rowsOf } from './rows.ts'
import { useComparison } from './use-comparison.ts'

export interface DiffViewProps {
  readonly before: string
  readonly after: string
  readonly language?: Language | null
  readonly label: string
}

export function DiffView({ before, after, language = null, label }: DiffViewProps) {
  const comparison = useComparison(before, after)
  const beforeTokens = useTokens(before, language)
  const afterTokens = useTokens(after, language)
  if (comparison === null) return <p className="text-mute">{say('diff.comparing')}</p>
  const tokensOf = (line: DiffLine): readonly Token[] | null =>
    (line.after === null ? beforeTokens?.[(line.before ?? 0) - 1] : afterTokens?.[line.after - 1]) ?? null
  return (
    <>
      {comparison.isCoarse ? <p className="mb-1 text-mute text-small">{say('diff.coarse')}</p> : null}
      <Lines lines={comparison.lines} tokensOf={tokensOf} label={label} />
    </>
  )
}

/** A unified diff that the agent sent as text. */
export function PatchView({ patch, label }: { readonly patch: string; readonly label: string }) {
  const lines = useMemo(() => readPatch(patch), [patch])
  return <Lines lines={lines} tokensOf={() => null} label={label} />
}

interface LinesProps {
  readonly lines: readonly DiffLine[]
  readonly tokensOf: (line: DiffLine) => readonly Token[] | null
  readonly label: string
}

function Lines({ lines, tokensOf, label }: LinesProps) {
  const mode = useDiffMode()
  const [unfolded, setUnfolded] = useState<ReadonlySet<number>>(new Set())
  const rows = useMemo(() => rowsOf(lines, mode, unfolded), [lines, mode, unfolded])
  const hunks = useMemo(() => hunksOf(rows), [rows])
  const [hunk, setHunk] = useState(-1)
  const scrollTo = useRef<((at: number) => void) | null>(null)
  const count = (kind: DiffLine['kind']): number => lines.reduce((sum, line) => sum + (line.kind === kind ? 1 : 0), 0)
  const go = (step: 1 | -1): void => {
    const next = (hunk + step + hunks.length) % hunks.length
    setHunk(next)
    scrollTo.current?.(hunks[next] ?? 0)
  }
  const unfold = (from: number): void => setUnfolded(new Set([...unfolded, from]))
  const digits = String(lines.length).length
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: n and p move between the changes while the focus is anywhere in here
    <div
      onKeyDown={(event) => {
        if (event.ctrlKey || event.metaKey || event.altKey || (event.key !== 'n' && event.key !== 'p')) return
        event.preventDefault()
        go(event.key === 'n' ? 1 : -1)
      }}
    >
      <div className="mb-1 flex items-center gap-3 text-small">
        <span className="tabular text-mute" dir="ltr">
          {say('diff.counts', { added: count('added'), removed: count('removed') })}
        </span>
        {hunks.length > 1 ? (
          <span className="flex gap-2">
            <Quiet onClick={() => go(-1)}>{say('diff.previous')}</Quiet>
            <Quiet onClick={() => go(1)}>{say('diff.next')}</Quiet>
          </span>
        ) : null}
        <span className="ms-auto hidden gap-2 wide:flex">
          {(['unified', 'split'] as const).map((one) => (
            <Quiet key={one} isOn={one === mode} onClick={() => diffMode.set(one)}>
              {say(`diff.${one}`)}
            </Quiet>
          ))}
        </span>
      </div>
      <LineList
        label={label}
        count={rows.length}
        scrollTo={scrollTo}
        line={(at) => <RowView row={rows[at] as Row} digits={digits} tokensOf={tokensOf} unfold={unfold} />}
      />
    </div>
  )
}

interface QuietProps {
  readonly children: string
  readonly onClick: () => void
  readonly isOn?: boolean
}

function Quiet({ children, onClick, isOn }: QuietProps) {
  return (
    <button
      type="button"
      aria-pressed={isOn}
      onClick={onClick}
      className={`pointer-coarse:min-h-11 ${isOn === true ? 'font-medium text-ink' : 'text-mute hover:text-ink'}`}
    >
      {children}
    </button>
  )
}

interface RowViewProps {
  readonly row: Row
  readonly digits: number
  readonly tokensOf: LinesProps['tokensOf']
  readonly unfold: (from: number) => void
}

function RowView({ row, digits, tokensOf, unfold }: RowViewProps) {
  if (row.is === 'fold') {
    return (
      <button
        type="button"
        onClick={() => unfold(row.from)}
        className="block w-full bg-side px-3 text-start text-mute hover:text-ink"
      >
        {say('diff.fold', { count: row.count })}
      </button>
    )
  }
  if (row.is === 'line') return <LineView line={row.line} digits={digits} tokens={tokensOf(row.line)} sides="both" />
  return (
    <span className="grid grid-cols-2">
      {(['before', 'after'] as const).map((side) => {
        const line = row[side]
        return line === null ? (
          <span key={side} className="bg-side" />
        ) : (
          <LineView key={side} line={line} digits={digits} tokens={tokensOf(line)} sides={side} />
        )
      })}
    </span>
  )
}

const grounds = { same: '', note: 'bg-side text-mute', added: 'bg-added', removed: 'bg-removed' } as const
/** Where the colours are the system's, there are no grounds, and a line marks the word. */
const words = {
  same: '',
  note: '',
  added: 'bg-added-word forced-colors:underline',
  removed: 'bg-removed-word forced-colors:line-through',
} as const
const signs = { same: ' ', note: ' ', added: '+', removed: '-' } as const

interface LineViewProps {
  readonly line: DiffLine
  readonly digits: number
  readonly tokens: readonly Token[] | null
  readonly sides: 'both' | 'before' | 'after'
}

function LineView({ line, digits, tokens, sides }: LineViewProps) {
  const { kind, text } = line
  const width = { width: `${digits + 2}ch` }
  const isChanged = kind === 'added' || kind === 'removed'
  const parts = useMemo(() => (isChanged ? partsOf(line) : []), [line, isChanged])
  return (
    <span className={`flex min-h-5 min-w-0 ${grounds[kind]}`}>
      {kind === 'note' ? null : (
        <>
          {sides === 'after' ? null : <LineNumber at={line.before} width={width} />}
          {sides === 'before' ? null : <LineNumber at={line.after} width={width} />}
        </>
      )}
      <span className="w-5 shrink-0 select-none text-center text-mute" aria-hidden="true">
        {signs[kind]}
      </span>
      {isChanged ? <span className="sr-only">{say(`diff.${kind}`)}</span> : null}
      {parts.length > 1 && text.length <= longestLine ? (
        <bdi dir="ltr" className="min-w-0 pe-3">
          {parts.map(({ text: part, isChanged: isMarked }, at) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: parts of the same line stay in their places
            <span key={at} className={isMarked ? words[kind] : ''}>
              <Segments text={part} lines />
            </span>
          ))}
        </bdi>
      ) : (
        <CodeLine text={text} tokens={tokens} />
      )}
    </span>
  )
}

function LineNumber({ at, width }: { readonly at: number | null; readonly width: { readonly width: string } }) {
  return (
    <span className="shrink-0 select-none pe-1 text-end text-faint" style={width} aria-hidden="true">
      {at}
    </span>
  )
}
