/** A word of a text as it is compared, and where it stands. */
export interface Word {
  readonly word: string
  readonly start: number
  readonly end: number
}

/** Longer ones are cut, in texts and in what is searched for. */
const longest = 64
const plain = /^[\p{ASCII}]*$/u
const isLeft = /[^\p{L}\p{N}]/gu

/**
 * Letters and digits; everything else stands between words, so `billing-agent`, `40.00` and an id are several, one behind the
 * other. Accents, other marks and letter case are not told apart: M\u00fcnchen is found by munchen, and the Arabic letters with
 * hamza by those without. Languages that are written without spaces have no words here but what stands between their punctuation.
 */
export function* wordsOf(text: string): Generator<Word> {
  for (const { 0: found, index } of text.matchAll(/[\p{L}\p{N}\p{M}]+/gu)) {
    const word = compared(found)
    if (word !== '') yield { word, start: index, end: index + found.length }
  }
}

function compared(found: string): string {
  const word = plain.test(found)
    ? found.toLowerCase()
    : found.normalize('NFKD').replace(isLeft, '').toLowerCase().replaceAll('\u00df', 'ss').replace(isLeft, '')
  return word.length <= longest ? word : word.slice(0, longest).toWellFormed().replaceAll('\ufffd', '')
}
