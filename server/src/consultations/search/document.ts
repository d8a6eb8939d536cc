import type { JsonText } from '../../platform/json.ts'
import { wordsOf } from './words.ts'

/** What of a request is searched: texts as they are stored, each at most its first `searchedCharacters`. */
export interface Searched {
  readonly id: string
  readonly title: string
  readonly description: string | null
  readonly justification: string | null
  /** JSON, whole or its beginning. */
  readonly context: string
  readonly action: string | null
  readonly tags: readonly string[]
  readonly runId: string | null
  readonly comment: string | null
  readonly outcomeDetail: string | null
  readonly outcomeData: string | null
}

/** What stands further behind, in a longer text, is not found. */
export const searchedCharacters = 32_768
/** Of a request: what comes after so many is not found. The texts that people read come first. */
export const mostWordsOfOne = 2_048
/** Of a word, as many of its places as matter to phrases and to the order of what was found. */
const mostPlaces = 16
/** Between two texts, so that no phrase reaches from one into the other. */
const gap = 8

/** A text of a request, and how much it counts: A most. */
export type Part = readonly [weight: 'A' | 'B' | 'C' | 'D', text: string]

export function partsOf(searched: Searched): readonly Part[] {
  const { id, title, description, justification, context, action, tags, runId, comment } = searched
  const of = (weight: Part[0], ...texts: readonly (string | null)[]): readonly Part[] =>
    texts.flatMap((text) => (text === null || text === '' ? [] : [[weight, text] as const]))
  return [
    ...of('A', title, id, ...tags, runId),
    ...of('B', description, justification),
    ...of('C', comment, searched.outcomeDetail),
    ...of('B', ...valuesOf(action)),
    ...of('D', ...valuesOf(searched.outcomeData), ...valuesOf(context)),
  ]
}

/** Strings and numbers of a JSON text, or of its beginning; names of members are not among them. */
export function valuesOf(json: string | null): readonly string[] {
  if (json === null) return []
  const found: string[] = []
  for (const [number, string, isName] of json.matchAll(
    /"([^"\\]*(?:\\.[^"\\]*)*)(?:"|$)(\s*:)?|-?\d[\d.]*(?:[eE][+-]?\d+)?/g,
  )) {
    if (string === undefined) found.push(number)
    else if (isName === undefined) found.push(string.includes('\\') ? unescaped(string) : string)
  }
  return found
}

function unescaped(string: string): string {
  try {
    return JSON.parse(`"${string}"`) as JsonText
  } catch {
    // Cut within an escape.
    return string
  }
}

/** The text of a tsvector; each word after `prefix`, which alone stands for the document itself. */
export function documentOf(parts: readonly Part[], prefix: string): string {
  const places = new Map<string, string[]>()
  let place = 1
  let count = 0
  for (const [weight, text] of parts) {
    for (const { word } of wordsOf(text)) {
      if (count === mostWordsOfOne) return written(places, prefix)
      count += 1
      const known = places.get(word)
      if (known === undefined) places.set(word, [`${place}${weight}`])
      else if (known.length < mostPlaces) known.push(`${place}${weight}`)
      place += 1
    }
    // The last place that PostgreSQL tells apart is 16 383.
    place = Math.min(place + gap, 14_000)
  }
  return written(places, prefix)
}

const written = (places: ReadonlyMap<string, readonly string[]>, prefix: string): string =>
  [`'${prefix}'`, ...[...places].map(([word, at]) => `'${prefix}${word}':${at.join()}`)].join(' ')

/** Before the words of an organization's requests; a collision costs time alone, for the row says whose it is. */
export const prefixOf = (organizationId: string): string => `${organizationId.slice(-6)}.`
/** The whole prefix of a part's words, as hitl_search makes it. */
export const partPrefix = (organizationId: string, part: number): string =>
  `${prefixOf(organizationId)}${part.toString(16)}:`
