/**
 * Characters that show nothing and change what is read (Unicode TR 36, 3.2): controls but line ends and tabs, formatting and
 * directional marks but the joiners that scripts and emoji need, line separators, fillers and private use. The signs of Arabic
 * and Syriac that Unicode counts as formatting are seen.
 */
const hidden =
  /[[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0]--[\t\n\r\u200c\u200d\u0600-\u0605\u06dd\u070f\u08e2]]/gv

export interface Part {
  readonly text: string
  readonly isHidden: boolean
  /** Where it begins. */
  readonly at: number
}

export function partsOf(text: string): readonly Part[] {
  const parts: Part[] = []
  let at = 0
  for (const { 0: found, index } of text.matchAll(hidden)) {
    if (index > at) parts.push({ text: text.slice(at, index), isHidden: false, at })
    parts.push({ text: found, isHidden: true, at: index })
    at = index + found.length
  }
  if (at < text.length) parts.push({ text: text.slice(at), isHidden: false, at })
  return parts
}

export const codePointsOf = (text: string): string =>
  [...text].map((each) => `U+${(each.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`).join(' ')
