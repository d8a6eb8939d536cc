import { wordsOf } from './words.ts'

/** What was searched for: pure, and fit to be a part of a filter. */
export interface Search {
  /** A tsquery in which `~` stands before each word (0033_search.sql); empty: there is no word in it, and nothing matches. */
  readonly query: string
  /** What is marked in what was found. */
  readonly wanted: readonly Wanted[]
}

export interface Wanted {
  readonly word: string
  /** Any word that begins with it. */
  readonly isPrefix: boolean
}

/** What comes after so many words is left out. */
export const mostWords = 16

/** Every document has it. */
const anything = `'~'`

/**
 * Words that all have to be there, in any order: `refund`, a beginning `ref*`, a phrase `"paid twice"`, and `-draft` for what must
 * not be there. What consists of several words, such as `billing-agent` or an id, is a phrase. Nothing is an error.
 */
export function parseSearch(text: string): Search {
  const [needed, excluded]: [string[], string[]] = [[], []]
  const wanted: Wanted[] = []
  let count = 0
  for (const [, minus, quoted, bare = ''] of text.matchAll(/(-?)"([^"]*)"?|(\S+)/g)) {
    const isExcluded = quoted === undefined ? bare.startsWith('-') : minus === '-'
    const isPrefix = quoted === undefined && bare.endsWith('*')
    const words = [...wordsOf(quoted ?? bare)].slice(0, mostWords - count).map(({ word }) => word)
    if (words.length === 0) continue
    count += words.length
    const each = words.map((word, at) => ({ word, isPrefix: isPrefix && at === words.length - 1 }))
    const phrase = each.map((one) => `'~${one.word}'${one.isPrefix ? ':*' : ''}`).join(' <-> ')
    if (isExcluded) excluded.push(`!(${phrase})`)
    else {
      needed.push(`(${phrase})`)
      wanted.push(...each)
    }
  }
  if (needed.length === 0 && excluded.length > 0) needed.push(anything)
  return { query: [...needed, ...excluded].join(' & '), wanted }
}
