import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import type { Certificate } from '../certificates.ts'

export interface TakenLetter {
  readonly from: string
  readonly to: readonly string[]
  readonly overTls: boolean
  readonly user: string | null
  /** As it came over the wire. */
  readonly raw: string
  readonly headers: ReadonlyMap<string, string>
  /** The body, decoded. */
  readonly text: string
}

export interface MailRelay {
  readonly port: number
  readonly letters: readonly TakenLetter[]
  /** Connections accepted so far. */
  readonly connections: number
  /** The mails, as soon as there are `count`; fails after 10 s. */
  waitFor(count: number): Promise<readonly TakenLetter[]>
  /** The mails to this address with this subject, as soon as there are `count`; fails after 10 s. */
  lettersTo(address: string, subject: string, count: number): Promise<readonly TakenLetter[]>
  /** The next attempts get these replies to RCPT, one each, before mails are accepted again. */
  refuseNext(...codes: readonly number[]): void
  close(): Promise<void>
}

const patienceMs = 10_000

/** A real SMTP server on 127.0.0.1 that keeps what it accepts. With a certificate it offers STARTTLS or speaks TLS at once. */
export async function startMailRelay(
  options: {
    readonly certificate?: Certificate
    readonly tlsAtOnce?: boolean
    readonly login?: { readonly user: string; readonly password: string }
    readonly hideStartTls?: boolean
  } = {},
): Promise<MailRelay> {
  const letters: TakenLetter[] = []
  const refusals: number[] = []
  const waiting = new Set<() => void>()
  let connections = 0
  const settings: SMTPServerOptions = {
    ...options.certificate,
    secure: options.tlsAtOnce === true,
    disabledCommands: [
      ...(options.certificate === undefined || options.hideStartTls === true ? ['STARTTLS'] : []),
      ...(options.login === undefined ? ['AUTH'] : []),
    ],
    disableReverseLookup: true,
    closeTimeout: 1_000,
    onConnect: (_session, done) => {
      connections += 1
      done()
    },
    onAuth: ({ username, password }, _session, done) => {
      const isRight = username === options.login?.user && password === options.login?.password
      if (isRight) done(null, { user: username })
      else done(new Error('no'))
    },
    onRcptTo: (_address, _session, done) => {
      const code = refusals.shift()
      done(code === undefined ? null : Object.assign(new Error('not now'), { responseCode: code }))
    },
    onData: (stream, session, done) => {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope
        const raw = Buffer.concat(chunks).toString('utf8')
        letters.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          overTls: session.secure,
          user: session.user ?? null,
          raw,
          ...parse(raw),
        })
        done()
        for (const check of waiting) check()
      })
    },
  }
  const until = (holds: () => boolean, found: () => readonly TakenLetter[]): Promise<readonly TakenLetter[]> =>
    new Promise((resolve, reject) => {
      const check = (): void => {
        if (!holds()) return
        clearTimeout(timer)
        waiting.delete(check)
        resolve(found())
      }
      const timer = setTimeout(() => {
        waiting.delete(check)
        reject(new Error(`gave up with ${letters.length} letters, of which ${found().length} fit`))
      }, patienceMs)
      waiting.add(check)
      check()
    })
  const server = new SMTPServer(settings)
  // Clients may break off, for example because they do not trust the certificate; only their own test cares.
  server.on('error', () => {})
  server.listen(0, '127.0.0.1')
  await once(server.server, 'listening')
  return {
    port: (server.server.address() as AddressInfo).port,
    letters,
    get connections() {
      return connections
    },
    waitFor: (count) =>
      until(
        () => letters.length >= count,
        () => letters,
      ),
    lettersTo: (address, subject, count) => {
      const fitting = () =>
        letters.filter(({ to, headers }) => to.includes(address) && headers.get('subject') === subject)
      return until(() => fitting().length >= count, fitting)
    },
    refuseNext: (...codes) => void refusals.push(...codes),
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

/** Enough of RFC 5322 and 2045 for a plain mail. */
function parse(raw: string): Pick<TakenLetter, 'headers' | 'text'> {
  const [head = '', ...rest] = raw.split('\r\n\r\n')
  const lines = head.replace(/\r\n[ \t]+/g, ' ').split('\r\n')
  const fields = lines.map((line) => {
    const colon = line.indexOf(':')
    assert.ok(colon > 0, `no header: ${line}`)
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const
  })
  const headers = new Map(fields)
  assert.equal(headers.size, fields.length, `a header came twice:\n${head}`)
  const body = rest.join('\r\n\r\n')
  const encoding = headers.get('content-transfer-encoding')
  return { headers, text: encoding === 'quoted-printable' ? unquote(body) : decode(body, encoding) }
}

function decode(body: string, encoding: string | undefined): string {
  return encoding === 'base64' ? Buffer.from(body, 'base64').toString('utf8') : body
}

function unquote(body: string): string {
  const bytes = body
    .replace(/=\r\n/g, '')
    .replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
