import { type AllowList, allowsAddress, allowsName, parseAllowList } from './allow-list.ts'
import { parseIpAddress, specialUse } from './public-address.ts'

export { type AllowList, parseAllowList }

/** `reason` is a sentence for the agent's developer. */
export type TargetVerdict = { readonly ok: true; readonly url: URL } | { readonly ok: false; readonly reason: string }
export type AddressVerdict = { readonly ok: true } | { readonly ok: false; readonly reason: string }

const LONGEST_URL = 2_048
const LONGEST_NAME = 253
const HOST_NAME = /^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})+$/

// Never delegated in the public DNS, or reserved to stay inside (RFC 6761, 6762, 8375, ICANN's .internal): whoever
// answers for them is on the operator's side. Metadata services that carry a public name are caught by their address.
const INSIDE_SUFFIXES = [
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
const OPERATOR_HINT = 'The operator of this service can permit it with CALLBACK_ALLOW.'
const ALLOWED: AddressVerdict = { ok: true }

/**
 * Judges a callback URL as it is written, without asking the DNS: used when a request is created and again before every
 * delivery. The names it lets pass are judged by `checkAddress` once they are resolved. The returned URL is normalised
 * (host in lower case and without its trailing dot) and is the one to connect to.
 */
export function checkTarget(raw: string, allow: AllowList): TargetVerdict {
  const malformed = refuseSpelling(raw)
  if (malformed !== null) return refuse(malformed)
  if (!URL.canParse(raw)) return refuse('The callback URL cannot be parsed; write it as https://host/path.')
  const url = new URL(raw)
  if (url.hostname.endsWith('.')) url.hostname = url.hostname.slice(0, -1)
  const port = portOf(url)
  if (port === 0) return refuse('The callback URL names port 0, which cannot be connected to.')

  const hostname = hostOf(url)
  const verdict =
    parseIpAddress(hostname) === null ? checkName(hostname, port, allow) : checkAddress(hostname, hostname, port, allow)
  return verdict.ok ? { ok: true, url } : verdict
}

/** As many callback URLs as are likely to be in use; each is at most 2 KiB, most are a hundred bytes. */
const maxJudged = 1_000

/** Why a callback URL is refused, null when it is not. An agent names the same one again and again: it is judged once. */
export function createTargetRefusal(allow: AllowList): (raw: string) => string | null {
  const judged = new Map<string, string | null>()
  return (raw) => {
    const known = judged.get(raw)
    if (known !== undefined) return known
    const verdict = checkTarget(raw, allow)
    const reason = verdict.ok ? null : verdict.reason
    if (judged.size >= maxJudged) judged.clear()
    if (raw.length <= LONGEST_URL) judged.set(raw, reason)
    return reason
  }
}

/**
 * Judges one address that a host name resolved to (or that stood in the URL). Public unicast addresses pass, and what the
 * allow list names: an allowed host name passes with every address, an allowed range with every host name.
 */
export function checkAddress(address: string, hostname: string, port: number, allow: AllowList): AddressVerdict {
  if (allowsName(allow, hostname, port)) return ALLOWED
  const parsed = parseIpAddress(address)
  const host =
    address === hostname
      ? `The callback host ${address}`
      : `The callback host ${hostname} resolves to ${address}, which`
  if (parsed === null) return refuse(`${host} is not an address that can be judged. ${OPERATOR_HINT}`)
  if (allowsAddress(allow, parsed, port)) return ALLOWED
  const use = specialUse(parsed)
  return use === null ? ALLOWED : refuse(`${host} is ${use}; callbacks go only to public addresses. ${OPERATOR_HINT}`)
}

/** The URL's host as the socket needs it: an IPv6 address without brackets. */
export function hostOf(url: URL): string {
  return url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname
}

/** The URL's port, the scheme's own when it names none. */
export function portOf(url: URL): number {
  return url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port)
}

// Spellings on which URL parsers disagree are refused before parsing, so that nobody downstream (a log, a proxy, a
// person) can read another host out of the text than the one that was judged.
function refuseSpelling(raw: string): string | null {
  if (raw.length > LONGEST_URL) return `The callback URL is longer than ${LONGEST_URL} characters.`
  if (!/^https?:\/\/[^/?#]/i.test(raw)) return 'The callback URL must begin with https:// or http:// and name a host.'
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\u0000-\u0020\u007f-\u00a0\\\p{Zs}\p{Zl}\p{Zp}\p{Surrogate}]/u.test(raw)) {
    return 'The callback URL contains white space, a control character or a backslash; percent-encode it.'
  }
  if (/^https?:\/\/[^/?#]*@/i.test(raw)) {
    return 'The callback URL carries a user name or password; use callback_secret to prove who is calling.'
  }
  if (raw.includes('#')) return 'The callback URL has a fragment (#...), which is never sent; remove it.'
  return null
}

function checkName(hostname: string, port: number, allow: AllowList): AddressVerdict {
  if (allowsName(allow, hostname, port)) return ALLOWED
  if (!hostname.includes('.')) {
    return refuse(`The callback host ${hostname} is not a full domain name. ${OPERATOR_HINT}`)
  }
  if (hostname.length > LONGEST_NAME || !HOST_NAME.test(hostname))
    return refuse('The callback URL has no valid host name.')
  if (INSIDE_SUFFIXES.some((suffix) => hostname.endsWith(`.${suffix}`) || hostname === suffix)) {
    return refuse(`The callback host ${hostname} is a name of an inside network. ${OPERATOR_HINT}`)
  }
  return ALLOWED
}

function refuse(reason: string): { readonly ok: false; readonly reason: string } {
  return { ok: false, reason }
}
