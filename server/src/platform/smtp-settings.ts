import { isIP } from 'node:net'

/** A relay as SMTP_URL names it. */
export interface Relay {
  readonly host: string
  readonly port: number
  /** `smtps://`: TLS from the first byte (RFC 8314). Otherwise STARTTLS, which only a relay on this machine may lack. */
  readonly isTls: boolean
  readonly isLoopback: boolean
  readonly login: { readonly user: string; readonly password: string } | null
}

export interface Mailbox {
  readonly name: string
  readonly address: string
}

/**
 * dot-atom of RFC 5322 with the letters of RFC 6531. Narrower than what registration accepts: quotes, commas, angle brackets
 * and comments can turn one recipient into two or end a header, so an address that needs them gets no mail.
 */
const localPart = "[\\p{L}\\p{M}\\p{N}!#$%&'*+/=?^_`{|}~-]+(?:\\.[\\p{L}\\p{M}\\p{N}!#$%&'*+/=?^_`{|}~-]+)*"
const domain = '[\\p{L}\\p{M}\\p{N}](?:[\\p{L}\\p{M}\\p{N}.-]*[\\p{L}\\p{M}\\p{N}])?'
const mailable = new RegExp(`^${localPart}@${domain}$`, 'u')

/** Whether the address is safe in an envelope and a header, and could be real (RFC 2606: never `.invalid`). */
export function isMailable(address: string): boolean {
  return address.length <= 254 && mailable.test(address) && !/[@.]invalid$/i.test(address)
}

/** Reads SMTP_URL. Throws an Error whose message completes "SMTP_URL ..." and never repeats the URL, which has a password. */
export function readSmtpUrl(text: string): Relay {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || !/^smtps?:$/.test(url.protocol) || url.hostname === '') {
    throw new Error('must look like smtps://user:password@mail.example.com or smtp://mail.example.com:587')
  }
  // Options in the query are how other programs switch certificate checks off.
  if (url.search !== '' || url.hash !== '' || !['', '/'].includes(url.pathname)) {
    throw new Error('must end with the host and port: it takes no path and no options')
  }
  if ((url.username === '') !== (url.password === '')) throw new Error('must name both user and password, or neither')
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const isTls = url.protocol === 'smtps:'
  return {
    host,
    port: url.port === '' ? (isTls ? 465 : 587) : Number(url.port),
    isTls,
    isLoopback: host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.')),
    login: url.username === '' ? null : { user: decode(url.username), password: decode(url.password) },
  }
}

/** Reads MAIL_FROM: an address, or `Name <address>`. */
export function readMailbox(text: string): Mailbox {
  const named = /^([^<>\p{Cc}]*)<([^<>]+)>$/u.exec(text)
  const mailbox = { name: named?.[1]?.trim().replace(/^"|"$/g, '') ?? '', address: named?.[2] ?? text }
  if (!isMailable(mailbox.address)) throw new Error('must be an address, or: Name <address>')
  return mailbox
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new Error('has a user or password that is not percent-encoded')
  }
}
