import './rendering.css'
import { useQuery } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import { say } from '../words/say.ts'
import { Segments } from './agent-text.tsx'
import type { Token } from './highlight.ts'
import type { Language } from './language.ts'
import { LineList } from './line-list.tsx'

/** More is shown without colours. */
const mostCharacters = 100_000
/** A line of a megabyte is no line that somebody reads; the rest of it is one click away. */
export const longestLine = 2_000

export interface CodeViewProps {
  readonly text: string
  readonly language: Language | null
  readonly label: string
}

export function CodeView({ text, language, label }: CodeViewProps) {
  const lines = useMemo(() => text.replace(/\n$/, '').split(/\r?\n/), [text])
  const tokens = useTokens(text, language)
  const digits = String(lines.length).length
  return (
    <LineList
      label={label}
      count={lines.length}
      line={(at) => (
        <span className="flex">
          <span className="shrink-0 select-none px-3 text-end text-faint" style={{ minWidth: `${digits + 3}ch` }}>
            {at + 1}
          </span>
          <CodeLine text={lines[at] ?? ''} tokens={tokens?.[at] ?? null} />
        </span>
      )}
    />
  )
}

/** `tokens`: only if they are those of this text; colours are never a reason to show something else. */
export function CodeLine({ text, tokens }: { readonly text: string; readonly tokens: readonly Token[] | null }) {
  const [isWhole, setWhole] = useState(false)
  const isLong = text.length > longestLine && !isWhole
  const isOfText = tokens !== null && tokens.map(({ content }) => content).join('') === text
  return (
    <bdi dir="ltr" className="min-w-0 pe-3">
      {isOfText && !isLong ? (
        tokens.map(({ content, color }, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: parts of the same line stay in their places
          <span key={at} style={color === undefined ? {} : { color }}>
            <Segments text={content} lines />
          </span>
        ))
      ) : (
        <Segments text={isLong ? text.slice(0, longestLine) : text} lines />
      )}
      {isLong ? (
        <button type="button" className="ms-1 font-sans text-accent underline" onClick={() => setWhole(true)}>
          {say('text.more_characters', { count: text.length - longestLine })}
        </button>
      ) : null}
    </bdi>
  )
}

/** The coloured parts, once they are there. */
export function useTokens(text: string, language: Language | null): readonly (readonly Token[])[] | null {
  const { data } = useQuery({
    queryKey: ['tokens', language, text],
    queryFn: async () => {
      const { tokensOf } = await import('./highlight.ts')
      return language === null ? null : tokensOf(text, language)
    },
    enabled: language !== null && text.length <= mostCharacters,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 60_000,
    structuralSharing: false,
    retry: false,
  })
  return data ?? null
}
