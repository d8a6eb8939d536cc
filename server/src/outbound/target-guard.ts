import { createBoundedMap } from '../platform/bounded-map.ts'
import { type AllowList, allowsAddress, allowsName, parseAllowList } from './allow-list.ts'
import { parseIpAddress, specialUse } from './public-address.ts'

export { type AllowList, parseAllowList }

/** Where calls of one kind may go. */
export interface TargetRules {
  /** The target's name in refusals: `callback` makes "The callback URL ..." and "The callback host ...". */
  readonly what: string
  /** The operator's setting that `allow` comes from. */
  readonly setting: string
  readonly allow: AllowList
}

/** `reason` is a sentence for the person who entered the URL. */
export type TargetVerdict = { readonly ok: true; readonly url: URL } | { readonly ok: false; readonly reason: string }

const longestUrl = 2_048
const longestName = 253
const hostName = /^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})+$/

// Never delegated in the public DNS, or reserved for internal use (RFC 6761, 6762, 8375, ICANN's .internal): any server
// that resolves them is on the operator's side. Metadata services with a public name are caught by their address.
const insideSuffixes = [
  'localhost',
  'local',
  'localdomain',
  'internal',
  'intranet',
  'private',
  'corp',
  'home',
  'lan',
  'home.arpa',
]

/**
 * Checks a URL as it is written, without the DNS: when it is entered and again before every call. `refusalOfAddress` judges
 * what its host name resolves to. The returned URL is normalised (host in lower case, without trailing dot) and is the one
 * to connect to.
 */
export function checkTarget(raw: string, rules: TargetRules): TargetVerdict {
  const refused = (reason: string) => ({ ok: false, reason }) as const
  const malformed = malformation(raw)
  if (malformed !== null) return refused(`The ${rules.what} URL ${malformed}`)
  const url = new URL(raw)
  if (url.hostname.endsWith('.')) url.hostname = url.hostname.slice(0, -1)
  const port = portOf(url)
  if (port === 0) return refused(`The ${rules.what} URL names port 0, which cannot be connected to.`)
  const hostname = hostOf(url)
  const isName = parseIpAddress(hostname) === null
  const reason = isName ? refusalOfName(hostname, port, rules) : refusalOfAddress(hostname, hostname, port, rules)
  return reason === null ? { ok: true, url } : refused(reason)
}

/** As many URLs as are likely to be in use; each is at most 2 KiB, most are a hundred bytes. */
const maxJudged = 1_000

/** Why a URL is refused; null when it is not. Agents send the same URL again and again, so results are cached. */
export function createTargetRefusal(rules: TargetRules): (raw: string) => string | null {
  const judged = createBoundedMap<string, string | null>(maxJudged)
  return (raw) => {
    const known = judged.get(raw)
    if (known !== undefined) return known
    const verdict = checkTarget(raw, rules)
    const reason = verdict.ok ? null : verdict.reason
    if (raw.length <= longestUrl) judged.set(raw, reason)
    return reason
  }
}

/**
 * Why an address that a host name resolved to (or that the URL itself contained) is refused; null when it is not. Public
 * unicast addresses pass, and so does everything on the allow list: an allowed host name with any address, an allowed range
 * with any host name.
 */
export function refusalOfAddress(address: string, hostname: string, port: number, rules: TargetRules): string | null {
  if (allowsName(rules.allow, hostname, port)) return null
  const parsed = parseIpAddress(address)
  const host = address === hostname ? address : `${hostname} resolves to ${address}, which`
  if (parsed === null) return refuseHost(`${host} is not an address that can be checked`, rules)
  if (allowsAddress(rules.allow, parsed, port)) return null
  const use = specialUse(parsed)
  return use === null ? null : refuseHost(`${host} is ${use}; only public addresses may be called`, rules)
}

/** The URL's host as the socket needs it: an IPv6 address without brackets. */
export function hostOf(url: URL): string {
  return url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname
}

/** The URL's port, the scheme's own when it names none. */
export function portOf(url: URL): number {
  return url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port)
}

// Spellings on which URL parsers disagree are refused before parsing, so that no log, proxy or person downstream reads a
// different host out of the text than the one that was checked.
function malformation(raw: string): string | null {
  if (raw.length > longestUrl) return `is longer than ${longestUrl} characters.`
  if (!/^https?:\/\/[^/?#]/i.test(raw)) return 'must begin with https:// or http:// and name a host.'
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\u0000-\u0020\u007f-\u00a0\\\p{Zs}\p{Zl}\p{Zp}\p{Surrogate}]/u.test(raw)) {
    return 'contains white space, a control character or a backslash; percent-encode it.'
  }
  if (/^https?:\/\/[^/?#]*@/i.test(raw)) return 'carries a user name or password; remove it: a URL is not kept secret.'
  if (raw.includes('#')) return 'has a fragment (#...), which is never sent; remove it.'
  return URL.canParse(raw) ? null : 'cannot be parsed; write it as https://host/path.'
}

function refusalOfName(hostname: string, port: number, rules: TargetRules): string | null {
  if (allowsName(rules.allow, hostname, port)) return null
  if (!hostname.includes('.')) return refuseHost(`${hostname} is not a full domain name`, rules)
  if (hostname.length > longestName || !hostName.test(hostname)) {
    return `The ${rules.what} URL has no valid host name.`
  }
  if (insideSuffixes.some((suffix) => hostname.endsWith(`.${suffix}`) || hostname === suffix)) {
    return refuseHost(`${hostname} is the name of an internal network`, rules)
  }
  return null
}

function refuseHost(why: string, { what, setting }: TargetRules): string {
  return `The ${what} host ${why}. The operator of this service can allow it with ${setting}.`
}
