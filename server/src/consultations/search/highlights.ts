import type { Consultation } from '../consultation.ts'
import { valuesOf } from './document.ts'
import type { Wanted } from './query.ts'
import { wordsOf } from './words.ts'

/** A piece of one of a request's texts, in the order of reading: what matched is marked. */
export interface Highlight {
  readonly field: (typeof highlightedFields)[number]
  readonly parts: readonly { readonly text: string; readonly match: boolean }[]
}

export const highlightedFields = [
  'title',
  'description',
  'justification',
  'comment',
  'outcome',
  'action',
  'context',
] as const

/** Characters of a piece, and how many of them stand before the first match. */
const pieceLength = 160
const before = 40
/** Where a match is looked for, in characters of a text. */
const lookedThrough = 8_192
const mostHighlights = 3

/** Made from what the caller is shown, so nothing else can be in it. */
export function highlightsOf(shown: Consultation, wanted: readonly Wanted[]): readonly Highlight[] {
  const texts: Readonly<Record<Highlight['field'], () => string | null>> = {
    title: () => shown.title,
    description: () => shown.description,
    justification: () => shown.justification,
    comment: () => shown.response?.comment ?? null,
    outcome: () => [shown.outcome?.detail ?? '', ...valuesOf(shown.outcome?.data ?? null)].join(' \u00b7 '),
    action: () => valuesOf(shown.action).join(' \u00b7 '),
    context: () => valuesOf(shown.context).join(' \u00b7 '),
  }
  const found: Highlight[] = []
  for (const field of highlightedFields) {
    if (found.length === mostHighlights) break
    const parts = marked(texts[field]() ?? '', wanted)
    if (parts !== null) found.push({ field, parts })
  }
  return found
}

function marked(whole: string, wanted: readonly Wanted[]): Highlight['parts'] | null {
  const text = whole.slice(0, lookedThrough)
  let [from, to, at] = [-1, 0, 0]
  const parts: { text: string; match: boolean }[] = []
  const add = (end: number, match: boolean): void => {
    if (end > at) parts.push({ text: text.slice(at, end), match })
    at = end
  }
  for (const { word, start, end } of wordsOf(text)) {
    if (from !== -1 && start >= to) break
    if (!wanted.some((one) => (one.isPrefix ? word.startsWith(one.word) : word === one.word))) continue
    if (from === -1) {
      from = wholeFrom(text, start - before)
      to = wholeFrom(text, Math.max(from + pieceLength, end))
      at = from
    }
    add(start, false)
    add(end, true)
  }
  if (from === -1) return null
  add(Math.min(to, text.length), false)
  return parts
}

/** Not between the halves of a surrogate pair. */
const wholeFrom = (text: string, place: number): number =>
  place <= 0 ? 0 : place < text.length && /[\udc00-\udfff]/.test(text[place] ?? '') ? place - 1 : place
