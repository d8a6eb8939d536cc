/**
 * Text that somebody else wrote, cut into what is shown as it is and what has to be made visible: characters that nobody sees,
 * and letters of one script that pass for those of another. The service has the same rule for what is invisible.
 */
export type Segment =
  | { readonly kind: 'plain'; readonly text: string }
  /** Shown as its code. */
  | { readonly kind: 'unseen'; readonly text: string; readonly code: string; readonly count: number }
  /** Shown, and marked with the script it is of. */
  | { readonly kind: 'lookalike'; readonly text: string; readonly script: string }

const invisible = String.raw`\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800`
/** The mark that makes a sign an emoji, and what joins emoji to one, are seen by what they do. */
/** Joiners that Persian, Hindi and their kin write with, and signs of Arabic that Unicode counts as formatting. */
const inScript = String.raw`(?<=[\p{Script=Arabic}\p{Script=Syriac}\p{Script=Mongolian}\p{Script=Devanagari}\p{Script=Bengali}\p{Script=Gurmukhi}\p{Script=Gujarati}\p{Script=Oriya}\p{Script=Tamil}\p{Script=Telugu}\p{Script=Kannada}\p{Script=Malayalam}\p{Script=Sinhala}\p{Script=Khmer}])[\u200c\u200d](?=\p{L})|[\u0600-\u0605\u06dd\u070f\u08e2]`
const inEmoji = String.raw`(?<=[\p{Extended_Pictographic}#*0-9])\ufe0f|(?<=[\p{Extended_Pictographic}\ufe0f\p{Emoji_Modifier}])\u200d(?=\p{Extended_Pictographic})`
/** A run of them is one; more than three marks on a letter would cover the lines around it. */
const runs = (signs: string): RegExp =>
  new RegExp(String.raw`(?:(?!${inEmoji}|${inScript})${signs})+|(?<=\p{M}{3})\p{M}+`, 'gv')
const unseen = {
  line: runs(`[${invisible}]`),
  // A line end is one or two signs; a return alone is none.
  lines: runs(String.raw`(?:(?!\r\n)[[${invisible}]--[\n\t]])`),
} as const

/** `lines`: line ends and tabs stay. */
export function segmentsOf(text: string, as: 'line' | 'lines' = 'line'): readonly Segment[] {
  const segments: Segment[] = []
  let from = 0
  for (const { 0: found, index } of text.matchAll(unseen[as])) {
    if (index > from) segments.push(...withLookalikes(text.slice(from, index)))
    segments.push(unseenOf(found))
    from = index + found.length
  }
  if (from < text.length) segments.push(...withLookalikes(text.slice(from)))
  return segments
}

/** So many codes of a run are written out. */
const mostCodes = 3

function unseenOf(found: string): Segment {
  const signs = [...found]
  const different = [...new Set(signs)].slice(0, mostCodes)
  return { kind: 'unseen', text: found, code: different.map(codeOf).join(' '), count: signs.length }
}

const codeOf = (sign: string): string => `U+${(sign.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`

/** Scripts whose letters are taken for one another. Han, Kana and the like stand beside Latin in ordinary text. */
const scripts = ['Latin', 'Cyrillic', 'Greek', 'Armenian', 'Cherokee', 'Coptic', 'Lisu'] as const
type Script = (typeof scripts)[number]
const ofScript = scripts.map((script) => [script, new RegExp(`\\p{Script=${script}}`, 'u')] as const)
const scriptOf = (sign: string): Script | null => ofScript.find(([, pattern]) => pattern.test(sign))?.[0] ?? null

/** Letters that a Latin one looks like, in the fonts of this page: words of these alone read as Latin. */
const passesForLatin = /^[аеорсухѕіјһԁԛԝвнктмАВЕЅІЈКМНОРСТУХҮԌοραεικνυτωΑΒΕΖΗΙΚΜΝΟΡΤΥΧոսցհզոՕՏԼ]+$/u
/** Other forms of ordinary letters and digits: mathematical, full width, circled. */
const otherForm = /[\u{1d400}-\u{1d7ff}\uff01-\uff5e\u24b6-\u24e9\u{1f130}-\u{1f189}]/u
const suspicious = /[^\p{ASCII}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u
const word = /[\p{L}\p{M}\p{N}\u24b6-\u24e9\u{1f130}-\u{1f189}]+/gu

function withLookalikes(text: string): readonly Segment[] {
  if (!suspicious.test(text)) return [{ kind: 'plain', text }]
  const segments: Segment[] = []
  let plain = ''
  let from = 0
  const isLatinText = /\p{Script=Latin}/u.test(text)
  for (const { 0: found, index } of text.matchAll(word)) {
    plain += text.slice(from, index)
    from = index + found.length
    for (const [part, script] of partsOf(found, isLatinText)) {
      if (script === null) plain += part
      else {
        if (plain !== '') segments.push({ kind: 'plain', text: plain })
        plain = ''
        segments.push({ kind: 'lookalike', text: part, script })
      }
    }
  }
  plain += text.slice(from)
  if (plain !== '') segments.push({ kind: 'plain', text: plain })
  return segments
}

/** Longer ones are no words, and are not looked at sign by sign. */
const longestWord = 400
const wholly = scripts.map(
  (script) => [script, new RegExp(`^[\\p{Script=${script}}\\p{Script=Inherited}\\p{N}]+$`, 'u')] as const,
)

/** A word in parts; with its script what is not of the script that it seems to be of. */
function partsOf(found: string, isLatinText: boolean): readonly (readonly [string, string | null])[] {
  if (/^\p{ASCII}*$/u.test(found)) return [[found, null]]
  const only = otherForm.test(found) ? undefined : wholly.find(([, pattern]) => pattern.test(found))?.[0]
  if (only !== undefined || found.length > longestWord) {
    const passes = only !== undefined && only !== 'Latin' && isLatinText && passesForLatin.test(found)
    return [[found, passes ? only : null]]
  }
  const signs = [...found]
  const of = signs.map((sign) => (otherForm.test(sign) ? 'other form' : scriptOf(sign)))
  const present = new Set(of.filter((script) => script !== null))
  if (present.size < 2 && !present.has('other form')) return [[found, null]]
  // Against the script that most of the word has; where Latin is among them, the word claims to be Latin.
  const counted = (script: string): number => of.filter((other) => other === script).length
  const claimed = present.has('Latin') ? 'Latin' : [...present].sort((a, b) => counted(b) - counted(a))[0]
  const parts: [string, string | null][] = []
  signs.forEach((sign, at) => {
    const script = of[at] === claimed && claimed !== 'other form' ? null : (of[at] ?? null)
    const last = parts.at(-1)
    if (last !== undefined && last[1] === script) last[0] += sign
    else parts.push([sign, script])
  })
  return parts
}
