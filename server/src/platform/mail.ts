import { readFileSync } from 'node:fs'
import { getCACertificates } from 'node:tls'
import { createTransport } from 'nodemailer'
import { createFailureLog } from './failure-log.ts'
import type { Logger } from './log.ts'
import { isMailable, type Mailbox, type Relay } from './smtp-settings.ts'

export interface Email {
  /** One address. */
  readonly to: string
  readonly subject: string
  readonly text: string
}

export interface Mail {
  /** One attempt. Resolves when the relay has taken the email, else rejects with a MailFailure. */
  send(email: Email): Promise<void>
  /** Gives up what is under way; once it resolves, no timer and no attempt is left. */
  close(): Promise<void>
}

export interface MailSettings {
  readonly relay: Relay
  readonly from: Mailbox
  readonly log: Logger
  /** PEM of one more trusted certificate authority. */
  readonly ca?: string | null
  /** For one whole attempt: look-up, connection, TLS, sign-in, message. */
  readonly timeoutMs?: number
}

export type MailFailure = Error & { readonly code: 'address' | 'refused' | 'unreachable' | 'stopped' }

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

/** Signs in at the relay without sending anything. Returns why that fails; null: it works, or no relay is named. */
export async function tryMail({ relay, from, caFile }: Omit<MailPlace, 'log'>): Promise<string | null> {
  if (relay === null || from === null) return null
  try {
    const ca = caFile === null ? null : readFileSync(caFile, 'utf8')
    const transporter = createTransport(connectionOf({ relay, ca, timeoutMs: 5_000 }))
    await transporter.verify().finally(() => transporter.close())
    return null
  } catch (error) {
    const { code, smtp, reason } = shown(error)
    return [code ?? reason, smtp].filter((word) => word !== undefined).join(' ')
  }
}

/** Mail over one relay: an attempt at a time, without memory. The outbox is `letters/`. */
export function createMail(settings: MailSettings): Mail {
  const { log, timeoutMs = 20_000 } = settings
  const transporter = createTransport({ ...connectionOf(settings), disableFileAccess: true, disableUrlAccess: true })
  const stop = new AbortController()
  const attempts = new Set<Promise<void>>()
  const lines = createFailureLog(log, {
    failed: 'the mail relay cannot be used; letters wait and are tried again',
    worked: 'the mail relay takes mail again',
  })

  const attempt = async (email: Email): Promise<void> => {
    // The library's limits are per step; a relay that replies a byte at a time would outlast their sum.
    const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(timeoutMs)])
    try {
      await transporter.sendMail({ ...messageOf(email, settings.from), signal })
      lines.worked()
    } catch (error) {
      if (stop.signal.aborted) throw failure('stopped', stopped)
      // Neither the email nor the relay's words: the one holds a link, the other may repeat an address.
      const said = shown(error)
      if (isRefused(error)) {
        log.warn(said, 'the mail relay refused an email')
        throw failure('refused', refused)
      }
      lines.failed(said)
      throw failure('unreachable', unreachable)
    }
  }

  return {
    send: async (email) => {
      if (!isMailable(email.to)) throw failure('address', 'Mail cannot be sent to an address of this form.')
      if (stop.signal.aborted) throw failure('stopped', stopped)
      const sending = attempt(email)
      attempts.add(sending)
      await sending.finally(() => attempts.delete(sending))
    },
    close: async () => {
      stop.abort()
      await Promise.allSettled(attempts)
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

function connectionOf({ relay, ca, timeoutMs = 20_000 }: Pick<MailSettings, 'relay' | 'ca' | 'timeoutMs'>) {
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
