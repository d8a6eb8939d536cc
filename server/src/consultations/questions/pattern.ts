import { RE2JS } from 're2js'
import { createBoundedMap } from '../../platform/bounded-map.ts'

/**
 * Patterns of agents, run in an engine whose time is linear: one of JavaScript's own could hold up everybody for years. What both
 * engines read alike is accepted, so a browser that runs the pattern as a RegExp with the flag `u` comes to the same result;
 * what they read differently is spelled out for this one, and the rest is refused.
 */
export interface Pattern {
  readonly text: string
  /** How many instructions its program has. A character of a text may cost each of them. */
  readonly size: number
}

const maxCharacters = 1_000
/** Measured: at worst 0.1 µs per instruction and character of the text. */
const maxSize = 500
/** What all patterns may cost together while one answer is checked, in characters times instructions: 100 ms. */
export const maxPatternWork = 1_000_000

export const patternWork = ({ size }: Pattern, text: string): number => size * text.length

export type Reading = { readonly pattern: Pattern } | { readonly refused: string }

/** Reads a pattern; `refused`: why not, as the end of a sentence that begins with its place. */
export function readPattern(text: string): Reading {
  if (text.length > maxCharacters) return { refused: `must have at most ${maxCharacters} characters` }
  try {
    // The syntax alone: nothing is ever matched with it.
    new RegExp(text, 'u')
  } catch {
    return { refused: 'is not a regular expression (ECMA-262 with the flag u)' }
  }
  const translated = translate(text)
  if ('refused' in translated) return translated
  try {
    const size = compile(translated.expression).programSize()
    if (size > maxSize) return { refused: 'repeats too much: use fewer or smaller repetitions' }
    return { pattern: { text: translated.expression, size } }
  } catch {
    return {
      refused:
        'needs more than a linear-time engine has: use neither look-around, nor back-references, nor more than 1000 repetitions',
    }
  }
}

interface Compiled {
  readonly engine: RE2JS
  readonly size: number
  tested: number
}

const compiled = createBoundedMap<string, Compiled>(64)
/** An engine keeps a state for what it has seen, of up to 8 bytes per character and instruction: 64 of them come to 16 MiB. */
const maxKept = 32 * 1024

export function matches({ text: expression, size }: Pattern, text: string): boolean {
  const known = compiled.get(expression)
  const entry = known ?? { engine: compile(expression), size, tested: 0 }
  entry.tested += text.length + 1
  // One that has seen too much is forgotten, and made anew.
  if (entry.tested * size > maxKept) compiled.delete(expression)
  else if (known === undefined) compiled.set(expression, entry)
  return entry.engine.test(text)
}

function compile(expression: string): RE2JS {
  return RE2JS.compile(expression)
}

/** As ECMA-262 has them: white space, line ends included; and what a dot leaves out. */
const space =
  '\\t\\n\\x{b}\\f\\r \\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}'
const lineEnds = '\\n\\r\\x{2028}\\x{2029}'
const controls: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, 0: 0 }
const category =
  /^(?:gc=|General_Category=)?(C|Cc|Cf|Co|L|Ll|Lm|Lo|Lt|Lu|M|Mc|Me|Mn|N|Nd|Nl|No|P|Pc|Pd|Pe|Pf|Pi|Po|Ps|S|Sc|Sk|Sm|So|Z|Zl|Zp|Zs)$/
const script = /^(?:sc|Script)=([A-Z][a-z]+(?:_[A-Z][a-z]+)*)$/

const literal = (code: number): string => `\\x{${code.toString(16)}}`

type Translation = { readonly expression: string } | { readonly refused: string }

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
      return { refused: 'must not use look-around or flags within it' }
    }
    if (char === '[') {
      const negated = text[at] === '^'
      if (negated) at += 1
      if (text[at] === ']') return { refused: 'has a class without a character in it' }
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
): { readonly expression: string; readonly end: number } | { readonly refused: string } {
  const char = text[at + 1] ?? ''
  const end = at + 2
  if (char === 'd' || char === 'D' || char === 'w' || char === 'W') return { expression: `\\${char}`, end }
  if (char === 's') return { expression: inClass ? space : `[${space}]`, end }
  if (char === 'S') return inClass ? { refused: 'must not have \\S in a class' } : { expression: `[^${space}]`, end }
  if (char === 'b') return { expression: inClass ? '\\x{8}' : '\\b', end }
  if (char === 'B') return { expression: '\\B', end }
  if (char === 'p' || char === 'P') return translateProperty(text, at, char)
  if (char === 'x') return { expression: literal(Number.parseInt(text.slice(end, end + 2), 16)), end: end + 2 }
  if (char === 'c') return { expression: literal(text.charCodeAt(end) & 31), end: end + 1 }
  if (char === 'u') return translateUnicode(text, end)
  const control = controls[char]
  if (control !== undefined) return { expression: literal(control), end }
  if (/[1-9k]/.test(char)) return { refused: 'must not refer back to what it has matched' }
  return { expression: literal(char.charCodeAt(0)), end }
}

function translateProperty(text: string, at: number, char: string) {
  const close = text.indexOf('}', at)
  const name = text.slice(at + 3, close)
  const known = category.exec(name)?.[1] ?? script.exec(name)?.[1]
  if (known === undefined) {
    return {
      refused: `uses the property ${name}: use a general category such as \\p{L}, or a script such as \\p{Script=Greek}`,
    }
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
  if (code >= 0xd800 && code < 0xe000) return { refused: 'has half a character (a lone surrogate)' }
  return { expression: literal(code), end }
}
