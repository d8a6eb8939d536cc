import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { getCACertificates } from 'node:tls'
import { createTransport } from 'nodemailer'
import type { Logger } from './log.ts'
import { isMailable, type Mailbox, type Relay } from './smtp-settings.ts'
import { within } from './within.ts'

export interface Email {
  /** One address. */
  readonly to: string
  readonly subject: string
  readonly text: string
}

export interface Mail {
  /** Resolves when the relay has taken the email; rejects with a MailFailure when it never will. */
  send(email: Email): Promise<void>
  /** Waits that long for mail under way, then gives up; once it resolves, no timer and no attempt is left. */
  close(graceMs?: number): Promise<void>
}

export interface MailSettings {
  readonly relay: Relay
  readonly from: Mailbox
  readonly log: Logger
  /** PEM of one more trusted certificate authority. */
  readonly ca?: string | null
  /** For one whole attempt: look-up, connection, TLS, sign-in, message. */
  readonly timeoutMs?: number
  /** Waits before each further attempt. */
  readonly retrySeconds?: readonly number[]
  /** Emails under way and waiting at most: the queue lives in memory. */
  readonly maxEmails?: number
}

export type MailFailure = Error & { readonly code: 'address' | 'full' | 'refused' | 'unreachable' | 'stopped' }

const sendsAtOnce = 2

export interface MailPlace {
  readonly relay: Relay | null
  readonly from: Mailbox | null
  /** File with one more trusted certificate authority. */
  readonly caFile: string | null
  readonly log: Logger
}

/** Null where no relay is named: then no mail is sent. */
export function openMail({ relay, from, caFile, log }: MailPlace): Mail | null {
  if (relay === null || from === null) return null
  return createMail({ relay, from, ca: caFile === null ? null : readFileSync(caFile, 'utf8'), log })
}

/**
 * Mail over one relay. Not an outbox: what is mailed are links that live for minutes and of which a person can ask for
 * another, so an email that a crash loses costs one more click, and no link lies readable in the database.
 */
export function createMail(settings: MailSettings): Mail {
  const { log, timeoutMs = 20_000, retrySeconds = [2, 15, 60], maxEmails = 500 } = settings
  const transporter = createTransport({ ...connectionOf(settings), disableFileAccess: true, disableUrlAccess: true })
  const stop = new AbortController()
  const emails = new Set<Promise<void>>()
  const inTurn = atMost(sendsAtOnce)
  let isClosing = false

  const attempt = async (email: Email): Promise<void> => {
    // The library's limits are per step; a relay that replies a byte at a time would outlast their sum.
    const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(timeoutMs)])
    await transporter.sendMail({ ...messageOf(email, settings.from), signal })
  }

  const deliver = async (email: Email): Promise<void> => {
    for (let tries = 1; ; tries += 1) {
      const error = await inTurn(() => attempt(email)).then(
        () => null,
        (cause: unknown) => cause,
      )
      if (error === null) return
      const waitSeconds = retrySeconds[tries - 1]
      const isFinal = isRefused(error) || waitSeconds === undefined
      // Neither the email nor the relay's words: the one holds a link, the other may repeat an address.
      if (!stop.signal.aborted) log.warn({ tries, ...shown(error), again: !isFinal }, 'an email was not sent')
      if (isFinal) throw isRefused(error) ? failure('refused', refused) : failure('unreachable', unreachable)
      await pause(waitSeconds * 1_000, undefined, { signal: stop.signal })
    }
  }

  return {
    send: async (email) => {
      if (!isMailable(email.to)) throw failure('address', 'Mail cannot be sent to an address of this form.')
      if (isClosing) throw failure('stopped', stopped)
      if (emails.size >= maxEmails) throw failure('full', 'Too many emails are waiting for the mail relay.')
      const delivery = deliver(email).catch((error: unknown) => {
        throw stop.signal.aborted ? failure('stopped', stopped) : error
      })
      emails.add(delivery)
      await delivery.finally(() => emails.delete(delivery))
    },
    close: async (graceMs = 0) => {
      isClosing = true
      await within(graceMs, Promise.allSettled(emails))
      stop.abort()
      await Promise.allSettled(emails)
      transporter.close()
    },
  }
}

const refused = 'The mail relay refused the email. Its reply code is in the log.'
const unreachable = 'The mail relay could not be reached, or gave up. The reason is in the log.'
const stopped = 'The email was given up because this service is shutting down.'

function failure(code: MailFailure['code'], message: string): MailFailure {
  return Object.assign(new Error(message), { code })
}

function connectionOf({ relay, ca, timeoutMs = 20_000 }: MailSettings) {
  return {
    host: relay.host,
    port: relay.port,
    secure: relay.isTls,
    requireTLS: !relay.isTls && !relay.isLoopback,
    ...(relay.login === null ? {} : { auth: { user: relay.login.user, pass: relay.login.password } }),
    // Otherwise a relay whose sign-in an attacker hides would get the email anyway, unauthenticated.
    forceAuth: relay.login !== null,
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    dnsTimeout: timeoutMs,
    socketCloseTimeout: 1_000,
    maxResponseSize: 64 * 1024,
    tls: {
      // Strict whatever NODE_TLS_REJECT_UNAUTHORIZED says.
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2' as const,
      ...(ca == null ? {} : { ca: [...getCACertificates('default'), ca] }),
    },
  }
}

function messageOf({ to, subject, text }: Email, from: Mailbox) {
  return {
    from: { name: from.name, address: from.address },
    // As objects, never as text: a parser of address lists reads "a,b@c" as two people.
    to: { name: '', address: to },
    envelope: { from: from.address, to: [to] },
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is replaced
    subject: subject.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ').slice(0, 200),
    text,
    // RFC 3834: suppresses vacation replies.
    headers: { 'Auto-Submitted': 'auto-generated' },
  }
}

/** 5yz: the same email would be refused again (RFC 5321, 4.2.1); but 503 is about the session, not the email. */
function isRefused(error: unknown): boolean {
  const { responseCode } = error as { responseCode?: number }
  return responseCode !== undefined && responseCode >= 500 && responseCode !== 503
}

function shown(error: unknown): { readonly code: unknown; readonly smtp: unknown; readonly reason: string } {
  const { code, responseCode, cause } = error as { code?: unknown; responseCode?: unknown; cause?: unknown }
  const reason = code === 'EABORT' && cause instanceof Error ? cause.name : code
  return { code, smtp: responseCode, reason: String(reason) }
}

function atMost(limit: number) {
  const waiting: (() => void)[] = []
  let running = 0
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (running < limit) running += 1
    else await new Promise<void>((start) => waiting.push(start))
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running -= 1
    }
  }
}
