import { hash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectTo } from 'node:net'
import { Readable } from 'node:stream'
import { connect } from 'node:tls'
import { openObjectStore } from '../../attachments/s3.ts'
import type { Config } from '../../config.ts'
import { createLog } from '../../platform/log.ts'
import { tryMail } from '../../platform/mail.ts'
import { canonicalAddress, parseNetworks } from '../../platform/network-address.ts'
import { version } from '../../version.ts'
import { type Finding, findingsOf } from './finding.ts'

const patienceMs = 5_000
const soonMs = 14 * 86_400_000

interface Answer {
  readonly status: number
  readonly headers: Headers
  /** Null: it is no JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: whatever is there
  readonly body: any
}

/** What an address replies, or why it does not. */
async function ask(url: string, headers: Record<string, string> = {}): Promise<Answer | string> {
  try {
    const reply = await fetch(url, { headers, redirect: 'manual', signal: AbortSignal.timeout(patienceMs) })
    const text = (await reply.text()).slice(0, 1_000_000)
    return { status: reply.status, headers: reply.headers, body: parsed(text) }
  } catch (error) {
    const { cause, message } = error as { cause?: { code?: string; message?: string }; message: string }
    return cause?.code ?? cause?.message ?? message
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** The mail relay, the store of files, and the way to the service. `kids`: the signing keys of the database. */
export async function networkFindings(config: Config, kids: readonly string[]): Promise<readonly Finding[]> {
  const all = await Promise.all([service(config, kids), certificateOf(config), mail(config), store(config)])
  return all.flat()
}

/** Where this host's processes listen. */
function localUrl({ HOST, PORT }: Config): string {
  const host = ['0.0.0.0', '::'].includes(HOST) ? '127.0.0.1' : HOST
  return `http://${host.includes(':') ? `[${host}]` : host}:${PORT}`
}

/** For `hitl status`: what the service says of itself, here or else at PUBLIC_URL; null: nothing responds. */
export async function askService(config: Config) {
  for (const url of [localUrl(config), config.publicUrl]) {
    const answer = await ask(`${url}/health`)
    if (typeof answer !== 'string' && answer.body?.version !== undefined) return { url, ...answer.body }
  }
  return null
}

async function service(config: Config, kids: readonly string[]): Promise<readonly Finding[]> {
  const { publicUrl } = config
  const local = localUrl(config)
  const [here, alive] = await Promise.all([ask(`${local}/readyz`), ask(`${publicUrl}/livez`)])
  const isHere = typeof here !== 'string'
  const isReached = typeof alive !== 'string' && alive.status === 200 && alive.body?.status === 'alive'
  if (!isHere && typeof alive === 'string') {
    return findingsOf([
      [
        true,
        'service.down',
        'weak',
        `Nothing responds at ${local} (${here}) nor at PUBLIC_URL, ${publicUrl} (${alive}).`,
        'Start the service, then run this again: what is between it and its users was not looked at.',
      ],
    ])
  }
  return [
    ...(isReached ? await behind(config, kids) : [unreached(publicUrl, alive)]),
    ...(isHere ? readiness(here) : []),
  ]
}

/** Why PUBLIC_URL does not lead to the service. */
function unreached(publicUrl: string, alive: Answer | string): Finding {
  const finding = (found: string, next: string): Finding => ({
    check: 'public-url.unreachable',
    severity: 'wrong',
    found: `PUBLIC_URL (${publicUrl}) does not lead to this service: ${found}.`,
    next,
  })
  if (typeof alive === 'string') {
    return /CERT|SIGNED|ALTNAME|TLS|SSL/i.test(alive)
      ? finding(
          `its certificate is refused (${alive})`,
          'Renew or complete the certificate in the proxy, with its chain.',
        )
      : finding(alive, 'Look at DNS, firewall and proxy; or correct PUBLIC_URL.')
  }
  if (alive.status >= 300 && alive.status < 400)
    return finding(
      `it redirects to ${alive.headers.get('location')}`,
      'Set PUBLIC_URL to the address that it redirects to.',
    )
  if ([502, 503, 504].includes(alive.status))
    return finding(`the proxy replies ${alive.status}`, 'Let the proxy pass calls to HOST:PORT of the service.')
  if (alive.status === 404 && new URL(publicUrl).pathname !== '/')
    return finding(
      `there is no such path (404)`,
      'Let the proxy pass everything below this path on: docs/operations.md, "Behind a proxy".',
    )
  return finding(`something else replies there (${alive.status})`, 'Correct PUBLIC_URL, or the proxy.')
}

async function behind(config: Config, kids: readonly string[]): Promise<readonly Finding[]> {
  const { publicUrl } = config
  const spoofed = { 'x-forwarded-for': `203.0.113.${Math.floor(Math.random() * 256)}` }
  const health = await ask(`${publicUrl}/health`)
  const keys = await ask(`${publicUrl}/.well-known/jwks.json`)
  // Both are refused. The second one must count towards the same limit as the first: the caller's.
  const [plain, forged] = [
    await ask(`${publicUrl}/api/v1/requests`),
    await ask(`${publicUrl}/api/v1/requests`, spoofed),
  ]
  const isStranger = config.TRUSTED_PROXIES.length > 0 && !(await isTrustedCaller(config))
  const published: string[] =
    typeof keys === 'string' ? [] : (keys.body?.keys ?? []).map(({ kid }: { kid: string }) => kid)
  const theirs = typeof health === 'string' ? version : (health.body?.version ?? version)
  return findingsOf([
    [
      theirs !== version,
      'public-url.version',
      'weak',
      `PUBLIC_URL leads to version ${theirs}, and this is ${version}.`,
      'Restart the processes that still run the other one.',
    ],
    [
      kids.length > 0 && published.length > 0 && !published.some((kid) => kids.includes(kid)),
      'public-url.another',
      'wrong',
      `PUBLIC_URL (${publicUrl}) leads to another installation: its signing keys are not those of this database.`,
      'Correct PUBLIC_URL or DATABASE_URL: links in mails and callbacks would lead to the other one.',
    ],
    [
      isStranger && (remaining(forged) ?? 0) > (remaining(plain) ?? Number.POSITIVE_INFINITY),
      'proxy.forwarded-for',
      'wrong',
      'Callers choose the address that they are counted by: the proxy passes X-Forwarded-For on as it came, or TRUSTED_PROXIES names more than proxies.',
      'Let the proxy append the address ($proxy_add_x_forwarded_for in nginx), and name the proxies alone in TRUSTED_PROXIES.',
    ],
    [
      typeof plain !== 'string' && remaining(plain) === null && config.RATE_LIMIT_ADDRESS !== null,
      'proxy.headers',
      'weak',
      'The header RateLimit of replies does not arrive: the proxy takes headers away that clients need.',
      'Let it pass all headers of replies on.',
    ],
  ])
}

/** A caller at the address of a trusted proxy may say whose calls it passes on, so this machine shows nothing if it is one. */
async function isTrustedCaller({ publicUrl, TRUSTED_PROXIES }: Config): Promise<boolean> {
  const { hostname, port, protocol } = new URL(publicUrl)
  const number = port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port)
  const socket = connectTo({ host: hostname.replace(/^\[|\]$/g, ''), port: number, timeout: patienceMs })
  try {
    await once(socket, 'connect')
    const own = canonicalAddress(socket.localAddress ?? '')
    return own === null || parseNetworks(TRUSTED_PROXIES)(own)
  } catch {
    return true
  } finally {
    socket.destroy()
  }
}

/** How many more calls the caller has, as the reply says (draft-ietf-httpapi-ratelimit-headers). */
function remaining(answer: Answer | string): number | null {
  const found = typeof answer === 'string' ? null : /;r=(\d+)/.exec(answer.headers.get('ratelimit') ?? '')
  return found === null ? null : Number(found[1])
}

function readiness({ status, body }: Answer): readonly Finding[] {
  const bad = Object.entries((body?.checks ?? {}) as Record<string, string>).filter(([, found]) => found !== 'ok')
  return findingsOf([
    [
      status !== 200,
      'service.not-ready',
      'wrong',
      `The service says that it is not ready: ${bad.map(([name, found]) => `${name} ${found}`).join(', ') || status}.`,
      'docs/operations.md, "What to watch", says what each means; its log has the reason.',
    ],
    [
      body?.seals_held_back_seconds !== undefined,
      'service.seals-held-back',
      'weak',
      `A transaction has kept events from being sealed for ${body?.seals_held_back_seconds} s.`,
      'End the session that the log names.',
    ],
  ])
}

/** Read without trusting it: whether it is trusted is seen when PUBLIC_URL is called. */
function certificateOf({ publicUrl }: Config): Promise<readonly Finding[]> {
  const url = new URL(publicUrl)
  if (url.protocol !== 'https:') return Promise.resolve([])
  const host = url.hostname.replace(/^\[|\]$/g, '')
  return new Promise((resolve) => {
    const done = (findings: readonly Finding[]): void => {
      socket.destroy()
      resolve(findings)
    }
    const port = url.port === '' ? 443 : Number(url.port)
    const socket = connect({
      host,
      port,
      ...(/^[\d.:]+$/.test(host) ? {} : { servername: host }),
      rejectUnauthorized: false,
    })
    socket.setTimeout(patienceMs, () => done([]))
    socket.on('error', () => done([]))
    socket.on('secureConnect', () => {
      const until = new Date(socket.getPeerCertificate().valid_to)
      const left = until.getTime() - Date.now()
      done(
        findingsOf([
          [
            left < soonMs,
            'public-url.certificate-expires',
            left < 0 ? 'wrong' : 'weak',
            `The certificate of PUBLIC_URL ${left < 0 ? 'expired' : 'expires'} on ${until.toISOString().slice(0, 10)}.`,
            'Renew it in the proxy.',
          ],
        ]),
      )
    })
  })
}

async function mail(config: Config): Promise<readonly Finding[]> {
  const why = await tryMail({ relay: config.SMTP_URL, from: config.MAIL_FROM, caFile: config.SMTP_CA })
  return findingsOf([
    [
      why !== null,
      'mail.unusable',
      'wrong',
      `The mail relay in SMTP_URL cannot be used (${why}): letters wait, and are lost after days.`,
      'Correct SMTP_URL: host, port, smtps:// or STARTTLS, user and password; and SMTP_CA for a certificate of your own.',
    ],
  ])
}

/** Puts an object of a few bytes there, reads it, and takes it away. */
async function store(config: Config): Promise<readonly Finding[]> {
  const objects = openObjectStore(config, createLog('silent', false, process.stderr))
  if (objects === null) return []
  const key = `doctor/${randomUUID()}`
  const content = Buffer.from('hitl doctor')
  try {
    await objects.put(key, content.length, hash('sha256', content), Readable.from([content]))
    ;(await objects.get(key, null)).resume()
    await objects.remove(key)
    return []
  } catch (error) {
    const cause = (error as Error).cause ?? error
    const { code, message } = cause as { code?: string; message: string }
    return findingsOf([
      [
        true,
        'attachments.store',
        'wrong',
        `The store of attachments cannot be used (${code ?? message.slice(0, 200)}): uploads and downloads get 503.`,
        'Correct S3_ENDPOINT, S3_BUCKET, S3_REGION and its keys; the key needs to put, get and delete objects.',
      ],
    ])
  } finally {
    await objects.close()
  }
}
