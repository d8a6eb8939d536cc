import { invalid, refusal } from './problem.ts'

/** Deeper nesting than this is refused: every reader of the value, PostgreSQL's parser too, recurses, and indents. */
export const maxJsonDepth = 100

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** A JSON text kept exactly as its sender wrote it: valid, no duplicate names, every number and string exact. */
export type JsonText = string & { readonly jsonText: true }

export interface ParsedJson {
  readonly value: unknown
  /** The source text of each member, when the value is an object: stored and sent back unchanged. */
  readonly members: ReadonlyMap<string, JsonText>
}

export const malformedJson = refusal(400, 'json.malformed', (cause?: unknown) => ({
  detail: 'The body is not valid JSON in UTF-8. Check quotes, commas and encoding.',
  cause,
}))

/**
 * Parses a JSON text (RFC 8259) that must come back equal later. Refused with 400: not UTF-8, not JSON. Refused with 422
 * naming the path: a number that an IEEE 754 double would change, U+0000 (PostgreSQL text cannot hold it), a lone
 * surrogate (RFC 7493, 2.1), a name twice in one object (2.3: readers disagree on which one counts), a name that leads to
 * the prototype of objects in whatever program reads the value later (CWE-1321), too deep nesting.
 */
export function parseExactJson(bytes: Buffer): ParsedJson {
  let text: string
  let value: unknown
  try {
    text = utf8.decode(bytes)
    value = JSON.parse(text)
  } catch (cause) {
    throw malformedJson(cause)
  }
  return { value, members: scan(text) }
}

interface Frame {
  /** null in an array. */
  readonly names: Set<string> | null
  name: string
  index: number
}

/** Walks a text that JSON.parse has accepted, so it only checks what JSON.parse ignores. */
function scan(text: string): ReadonlyMap<string, JsonText> {
  const members = new Map<string, JsonText>()
  const stack: Frame[] = []
  let memberStart = -1
  let at = 0
  const closeMember = (end: number): void => {
    const top = stack[0]
    if (stack.length !== 1 || memberStart < 0 || top === undefined) return
    members.set(top.name, text.slice(memberStart, end).trim() as JsonText)
    memberStart = -1
  }
  while (at < text.length) {
    const code = text.charCodeAt(at)
    const frame = stack.at(-1)
    if (code === 0x22) {
      const end = endOfString(text, at)
      const decoded = decodeString(text.slice(at, end), stack)
      at = end
      if (frame?.names != null && followedByColon(text, end)) {
        frame.name = decoded
        if (frame.names.has(decoded)) throw invalid(pathOf(stack), 'is there twice in the same object')
        frame.names.add(decoded)
        if (leadsToPrototype(decoded, stack)) {
          throw invalid(pathOf(stack), 'is a name that changes objects in some programs: choose another')
        }
        at = text.indexOf(':', end) + 1
        if (stack.length === 1) memberStart = at
      }
    } else if (code === 0x7b || code === 0x5b) {
      stack.push({ names: code === 0x7b ? new Set() : null, name: '', index: 0 })
      if (stack.length > maxJsonDepth)
        throw invalid(pathOf(stack.slice(0, 8)), `is nested more than ${maxJsonDepth} deep`)
      at += 1
    } else if (code === 0x7d || code === 0x5d) {
      closeMember(at)
      stack.pop()
      at += 1
    } else if (code === 0x2c) {
      closeMember(at)
      if (frame !== undefined) frame.index += 1
      at += 1
    } else if (code === 0x2d || (code >= 0x30 && code <= 0x39)) {
      const end = endOfNumber(text, at)
      const literal = text.slice(at, end)
      if (!isExact(literal)) {
        const spelling = literal.length <= 40 ? `the string "${literal}"` : 'a string'
        throw invalid(pathOf(stack), `is a number that cannot be kept exactly: send it as ${spelling}`)
      }
      at = end
    } else {
      at += 1
    }
  }
  return members
}

/** `__proto__`, or `prototype` in an object named `constructor`. */
function leadsToPrototype(name: string, stack: readonly Frame[]): boolean {
  return name === '__proto__' || (name === 'prototype' && stack.at(-2)?.name === 'constructor')
}

/** `open` is the index of the opening quote; returns the index after the closing one. */
function endOfString(text: string, open: number): number {
  let at = open + 1
  while (text.charCodeAt(at) !== 0x22) at += text.charCodeAt(at) === 0x5c ? 2 : 1
  return at + 1
}

function endOfNumber(text: string, start: number): number {
  let at = start + 1
  for (; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    const inNumber =
      (code >= 0x30 && code <= 0x39) || code === 0x2e || code === 0x2b || code === 0x2d || (code | 0x20) === 0x65
    if (!inNumber) break
  }
  return at
}

function followedByColon(text: string, from: number): boolean {
  let at = from
  while (text.charCodeAt(at) <= 0x20) at += 1
  return text.charCodeAt(at) === 0x3a
}

/** The text came from valid UTF-8, so NUL and lone surrogates can only occur as escapes. */
function decodeString(quoted: string, stack: readonly Frame[]): string {
  if (!quoted.includes('\\')) return quoted.slice(1, -1)
  const decoded = JSON.parse(quoted) as string
  if (decoded.includes('\0')) throw invalid(pathOf(stack), 'contains the character U+0000, which cannot be kept')
  if (!decoded.isWellFormed()) throw invalid(pathOf(stack), 'contains a lone surrogate, which is not a character')
  return decoded
}

/** Below it a double has fewer digits. */
const smallestNormal = 2 ** -1022

/**
 * True for a number that a double keeps to its last digits: it has at most 17, as many as programs print of one; and
 * where doubles are farther apart than that, those of the double it is read as. Strict readers of RFC 8785 take no integer
 * beyond 2^53 - 1 (RFC 7493, 2.2), exact double or not.
 */
function isExact(literal: string): boolean {
  // A double always keeps 15 significant decimal digits (DBL_DIG); only a large exponent may still under- or overflow.
  if (literal.length <= 15 && Math.abs(Number(literal.split(/[eE]/)[1] ?? 0)) < 290) return true
  const value = Number(literal)
  if (!Number.isSafeInteger(value) && /^-?\d+$/.test(literal)) return false
  const given = decimal(literal)
  const digits = given.slice(0, given.indexOf('e')).replace('-', '').length
  if (!Number.isFinite(value) || digits > 17) return false
  const size = Math.abs(value)
  const isDense = size >= smallestNormal && size <= Number.MAX_SAFE_INTEGER
  return isDense || given === decimal(value.toPrecision(digits))
}

/** A decimal literal as `digits e exponent` without leading or trailing zeros, so that equal values are equal strings. */
function decimal(literal: string): string {
  const [mantissa = '', exponent = '0'] = literal.toLowerCase().split('e')
  const [whole = '', fraction = ''] = mantissa.replace('-', '').split('.')
  const digits = (whole + fraction).replace(/^0+/, '')
  // A loop, not /0+$/, which takes quadratic time on zeros in the middle; Number, not BigInt, for the same reason: an
  // exponent that it rounds is far beyond those of doubles, so it equals none of theirs.
  let end = digits.length
  while (digits.charCodeAt(end - 1) === 0x30) end -= 1
  const significant = digits.slice(0, end)
  if (significant === '') return '0e0'
  const scale = Number(exponent) - fraction.length + digits.length - end
  return `${mantissa.startsWith('-') ? '-' : ''}${significant}e${scale}`
}

function pathOf(stack: readonly Frame[]): string {
  let path = ''
  for (const frame of stack) {
    if (frame.names === null) path += `[${frame.index}]`
    else if (/^[A-Za-z_$][\w$]*$/.test(frame.name)) path += path === '' ? frame.name : `.${frame.name}`
    else if (frame.name !== '' || frame.names.size > 0) path += `[${JSON.stringify(frame.name.toWellFormed())}]`
  }
  return path.length > 200 ? `${path.slice(0, 200)}…` : path
}

/** The source texts of the elements of an array, or of the members of an object, that `parseExactJson` has accepted. */
export function partsOf(text: JsonText): {
  readonly elements: readonly JsonText[]
  readonly members: ParsedJson['members']
} {
  const elements: JsonText[] = []
  const members = new Map<string, JsonText>()
  let depth = 0
  let name: string | null = null
  let start = 0
  const close = (end: number): void => {
    const part = text.slice(start, end).trim() as JsonText
    if (name !== null) members.set(name, part)
    else if (part !== '') elements.push(part)
    name = null
    start = end + 1
  }
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === 0x22) {
      const end = endOfString(text, at)
      if (depth === 1 && name === null && text.charCodeAt(0) === 0x7b) {
        name = JSON.parse(text.slice(at, end)) as string
        start = text.indexOf(':', end) + 1
        at = start - 1
      } else at = end - 1
    } else if (code === 0x7b || code === 0x5b) {
      depth += 1
      if (depth === 1) start = at + 1
    } else if (code === 0x7d || code === 0x5d) {
      if (depth === 1) close(at)
      depth -= 1
    } else if (code === 0x2c && depth === 1) close(at)
  }
  return { elements, members }
}
