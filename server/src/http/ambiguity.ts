import { invalid, refusal } from '../platform/problem.ts'
import { badRequest, malformed, malformedForm, notFound } from './refusals.ts'

/**
 * Refuses anything that two readers could read differently, so that no proxy, log or filter in front of this service
 * understands a call in another way than the service does (CWE-235, CWE-436, CWE-1321).
 */

/** Lists and cookies may come in several lines (RFC 9110, 5.3); a second line of these would contradict the first. */
const single: ReadonlyMap<string, number> = new Map(
  ['authorization', 'content-type', 'host', 'idempotency-key', 'origin', 'sec-fetch-site', 'x-request-id'].map(
    (name, place) => [name, 1 << place],
  ),
)

export const repeatedHeader = refusal(
  400,
  'http.repeated_header',
  (name: string) => `The header ${name} is there twice. Send it once.`,
  'host',
)

/** Node keeps the first of some headers and joins others: only the raw list (name, value, name ...) shows a repetition. */
export function refuseRepeatedHeaders(raw: readonly string[]): void {
  let seen = 0
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] ?? ''
    if (name.length < 4 || name.length > 16) continue
    const bit = single.get(name.toLowerCase())
    if (bit === undefined) continue
    if ((seen & bit) !== 0) {
      throw repeatedHeader(name.toLowerCase())
    }
    seen |= bit
  }
}

/** Node takes the chunks apart and leaves every other coding in the body, which a proxy may read decoded (RFC 9112, 6.1). */
export function refuseOtherCodings(transferEncoding: string | undefined): void {
  if (transferEncoding === undefined || /^\s*chunked\s*$/i.test(transferEncoding)) return
  throw malformed('The only transfer coding is chunked. Send the body without another one.')
}

/** Nearly all addresses have none of these and are not examined further. */
const needsLook = /[%?#\\]|\/[./]/
/** Escapes that no client needs in a path: dots, slashes, letters, digits. (Control characters are left to later checks.) */
const disguised = /%(?:2[def]|3[0-9]|[46][1-9a-f]|[57][0-9a]|5[cf])|[#\\]/i
/** Segments that other readers drop: empty ones, `.` and `..`. */
const skipped = /\/(?:\.{0,2}\/|\.{1,2}$)/

/** Checks the request target: the path must have one spelling, and each name of the query must be there once. */
export function refuseAmbiguousTarget(target: string): void {
  if (target === '*') throw badRequest('The path is missing. Send one that begins with a slash.')
  if (!needsLook.test(target)) return
  const mark = target.indexOf('?')
  // The absolute form (RFC 9112, 3.2.2) is for proxies, and every server takes it.
  const path = (mark < 0 ? target : target.slice(0, mark)).replace(/^https?:\/\/[^/]*/i, '')
  if (disguised.test(path)) {
    throw badRequest(
      'The path has escaped letters, dots or slashes, or characters that a path cannot have. Send it in its plain form.',
    )
  }
  if (skipped.test(path)) throw notFound()
  if (mark >= 0) readPairs(target.slice(mark + 1), 'query')
}

/** `application/x-www-form-urlencoded` (WHATWG URL, 5.1), but strict: each name once, well-formed UTF-8 escapes. */
export function readPairs(text: string, what: 'query' | 'form'): ReadonlyMap<string, string> {
  const pairs = new Map<string, string>()
  for (const part of text.split('&')) {
    if (part === '') continue
    const equals = part.indexOf('=')
    const name = decoded(equals < 0 ? part : part.slice(0, equals), what)
    const value = equals < 0 ? '' : decoded(part.slice(equals + 1), what)
    if (isPrototypeName(name)) throw invalid(name, `is a name that is not allowed in the ${what}`)
    if (pairs.has(name)) throw invalid(name, `is in the ${what} twice: send it once`)
    pairs.set(name, value)
  }
  return pairs
}

function decoded(text: string, what: 'query' | 'form'): string {
  if (!/[%+]/.test(text)) return text
  try {
    // Overlong forms, surrogates and anything else that is not UTF-8 is an error here, not a replacement character.
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    const detail = `The ${what} has percent-encoding that is not UTF-8. Check it.`
    throw what === 'query' ? badRequest(detail) : malformedForm(detail)
  }
}

/** A name that leads to an object's prototype, also within one like `a[__proto__][b]`, which some readers take for a path. */
export function isPrototypeName(name: string): boolean {
  if (!name.includes('__proto__') && !name.includes('prototype')) return false
  const steps = name.split(/[.[\]]+/)
  return steps.some((step, at) => step === '__proto__' || (step === 'prototype' && steps[at - 1] === 'constructor'))
}
