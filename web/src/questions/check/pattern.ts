import { RE2JS } from 're2js'

/**
 * Patterns of agents, run in the service's linear-time engine: the browser's own could hold the page up for ever with one of them.
 * The service has refused what the two engines read differently, and spells the rest out for this one in the same way.
 */
interface Pattern {
  readonly engine: RE2JS
  /** How many instructions its program has. A character of a text may cost each of them. */
  readonly size: number
}

/** The service's bound of what all patterns may cost together while one answer is checked. */
export const maxPatternWork = 1_000_000

const compiled = new Map<string, Pattern | null>()

/** Null for what this engine does not read, which the service does not let through. */
export function patternOf(text: string): Pattern | null {
  const known = compiled.get(text)
  if (known !== undefined) return known
  const found = compile(text)
  if (compiled.size >= 100) compiled.clear()
  compiled.set(text, found)
  return found
}

function compile(text: string): Pattern | null {
  try {
    const translated = translate(text)
    if ('refused' in translated) return null
    const engine = RE2JS.compile(translated.expression)
    return { engine, size: engine.programSize() }
  } catch {
    return null
  }
}

export const patternWork = ({ size }: Pattern, text: string): number => size * text.length
export const matches = ({ engine }: Pattern, text: string): boolean => engine.test(text)

/** As ECMA-262 has them: white space, line ends included; and what a dot leaves out. */
const space =
  '\\t\\n\\x{b}\\f\\r \\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}'
const lineEnds = '\\n\\r\\x{2028}\\x{2029}'
const controls: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, 0: 0 }
const category =
  /^(?:gc=|General_Category=)?(C|Cc|Cf|Co|L|Ll|Lm|Lo|Lt|Lu|M|Mc|Me|Mn|N|Nd|Nl|No|P|Pc|Pd|Pe|Pf|Pi|Po|Ps|S|Sc|Sk|Sm|So|Z|Zl|Zp|Zs)$/
const script = /^(?:sc|Script)=([A-Z][a-z]+(?:_[A-Z][a-z]+)*)$/

const literal = (code: number): string => `\\x{${code.toString(16)}}`

type Translation = { readonly expression: string } | { readonly refused: true }

/** The pattern as the linear engine spells it. `text` is known to be a valid regular expression. */
function translate(text: string): Translation {
  let expression = ''
  let inClass = false
  for (let at = 0; at < text.length; ) {
    const char = String.fromCodePoint(text.codePointAt(at) ?? 0)
    if (char === '\\') {
      const escaped = translateEscape(text, at, inClass)
      if ('refused' in escaped) return escaped
      expression += escaped.expression
      at = escaped.end
      continue
    }
    at += char.length
    if (inClass) {
      inClass = char !== ']'
      expression += !inClass || char === '-' ? char : literal(char.codePointAt(0) ?? 0)
      continue
    }
    if (char === '(' && text[at] === '?' && !/^\?(?::|<[A-Za-z]\w*>)/.test(text.slice(at))) {
      return { refused: true } as const
    }
    if (char === '[') {
      const negated = text[at] === '^'
      if (negated) at += 1
      if (text[at] === ']') return { refused: true } as const
      inClass = true
      expression += negated ? '[^' : '['
    } else expression += char === '.' ? `[^${lineEnds}]` : char
  }
  // Named groups are spelled the same way in both.
  return { expression }
}

function translateEscape(
  text: string,
  at: number,
  inClass: boolean,
): { readonly expression: string; readonly end: number } | { readonly refused: true } {
  const char = text[at + 1] ?? ''
  const end = at + 2
  if (char === 'd' || char === 'D' || char === 'w' || char === 'W') return { expression: `\\${char}`, end }
  if (char === 's') return { expression: inClass ? space : `[${space}]`, end }
  if (char === 'S') return inClass ? ({ refused: true } as const) : { expression: `[^${space}]`, end }
  if (char === 'b') return { expression: inClass ? '\\x{8}' : '\\b', end }
  if (char === 'B') return { expression: '\\B', end }
  if (char === 'p' || char === 'P') return translateProperty(text, at, char)
  if (char === 'x') return { expression: literal(Number.parseInt(text.slice(end, end + 2), 16)), end: end + 2 }
  if (char === 'c') return { expression: literal(text.charCodeAt(end) & 31), end: end + 1 }
  if (char === 'u') return translateUnicode(text, end)
  const control = controls[char]
  if (control !== undefined) return { expression: literal(control), end }
  if (/[1-9k]/.test(char)) return { refused: true } as const
  return { expression: literal(char.charCodeAt(0)), end }
}

function translateProperty(text: string, at: number, char: string) {
  const close = text.indexOf('}', at)
  const name = text.slice(at + 3, close)
  const known = category.exec(name)?.[1] ?? script.exec(name)?.[1]
  if (known === undefined) {
    return { refused: true } as const
  }
  return { expression: `\\${char}{${known}}`, end: close + 1 }
}

function translateUnicode(text: string, at: number) {
  if (text[at] === '{') {
    const close = text.indexOf('}', at)
    return whole(Number.parseInt(text.slice(at + 1, close), 16), close + 1)
  }
  const high = Number.parseInt(text.slice(at, at + 4), 16)
  const pair = /^\\u([dD][c-fC-F][0-9a-fA-F]{2})/.exec(text.slice(at + 4))
  if (high >= 0xd800 && high < 0xdc00 && pair !== null) {
    const low = Number.parseInt(pair[1] ?? '', 16)
    return whole((high - 0xd800) * 0x400 + low - 0xdc00 + 0x10000, at + 10)
  }
  return whole(high, at + 4)
}

function whole(code: number, end: number) {
  if (code >= 0xd800 && code < 0xe000) return { refused: true } as const
  return { expression: literal(code), end }
}
