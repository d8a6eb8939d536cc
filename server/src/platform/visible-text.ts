import { createBoundedMap } from './bounded-map.ts'

/** Characters that nobody sees, or that make the text around them read as another. */
const invisible = String.raw`\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800`
/** Other than the mark that makes a sign an emoji, behind such a sign. */
const unseen = new RegExp(String.raw`\r\n|(?!(?<=[\p{Extended_Pictographic}#*0-9])\ufe0f)[${invisible}]`, 'gu')

/**
 * Text that somebody else wrote, with everything invisible in it made visible, for the place where a person reads it or decides
 * on it. line: in one line. lines: line ends stay. json: JSON text, whose value stays the same.
 */
export function visible(text: string, as: 'line' | 'lines' | 'json'): string {
  return text.replace(unseen, (found) => {
    if (as !== 'line' && (found === '\n' || found === '\r\n')) return found
    return as === 'json' ? jsonEscape(found) : [...found].map((sign) => `[U+${hexOf(sign.codePointAt(0))}]`).join('')
  })
}

const hexOf = (code = 0): string => code.toString(16).toUpperCase().padStart(4, '0')

/** There are few such characters, and a text may consist of them. */
const escapes = createBoundedMap<string, string>(1_000)

function jsonEscape(found: string): string {
  const known = escapes.get(found)
  if (known !== undefined) return known
  const escaped = Array.from(
    { length: found.length },
    (_, at) => `\\u${hexOf(found.charCodeAt(at)).toLowerCase()}`,
  ).join('')
  escapes.set(found, escaped)
  return escaped
}

const forbiddenInLine = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/u
const unseenOrBlank = new RegExp(`[${invisible}\\s]`, 'gu')

export const lineRule =
  'must be one line with something to see: no blank at either end, no control character, line end or direction mark'

/** The rule for names that are shown in one line. Whether they may be empty is another rule. */
export function isLine(text: string): boolean {
  if (text === '') return true
  return text.trim() === text && !forbiddenInLine.test(text) && text.replace(unseenOrBlank, '') !== ''
}

/** A name from elsewhere, made to fit that rule; null when nothing is left. */
export function toLine(text: string, maxLength: number): string | null {
  const fitting = text.replace(new RegExp(forbiddenInLine, 'gu'), ' ').trim()
  const line = [...fitting].slice(0, maxLength).join('').trim()
  return line !== '' && isLine(line) ? line : null
}
