import { Agent } from 'undici'
import { checkTarget, parseAllowList } from '../../outbound/target-guard.ts'
import { errorOf } from '../../outbound/transport-errors.ts'
import { type ConnectorOptions, createVettedConnector } from '../../outbound/vetted-connector.ts'
import { isSecureUrl } from './provider.ts'

/** As `openid-client` calls it. */
export type ProviderFetch = (
  url: string,
  options: {
    readonly method: string
    readonly headers: Readonly<Record<string, string>>
    readonly body?: unknown
    readonly signal?: AbortSignal
  },
) => Promise<Response>

export interface ProviderHttp {
  readonly fetch: ProviderFetch
  close(): Promise<void>
}

export interface ProviderHttpOptions {
  /** The entries of `SSO_ALLOW`: where agents may be called back is not where an organization's people sign in. */
  readonly allow: readonly string[]
  readonly ca: string | null
  readonly resolve?: ConnectorOptions['resolve']
  readonly timeoutMs?: number
  readonly maxReplyBytes?: number
}

export const defaultMaxReplyBytes = 128 * 1024

/**
 * Calls to providers. An administrator's issuer makes this service call an address, and the reply makes it call more. So each URL
 * and each address is checked for every call, no redirect is followed, nothing is decompressed, and no reply may be longer than a
 * key set could be.
 */
export function createProviderHttp({ allow, ca, resolve, ...limits }: ProviderHttpOptions): ProviderHttp {
  const { timeoutMs = 10_000, maxReplyBytes = defaultMaxReplyBytes } = limits
  const rules = { what: 'identity provider', setting: 'SSO_ALLOW', allow: parseAllowList(allow) }
  const connector = createVettedConnector({
    rules,
    timeoutMs,
    ...(resolve === undefined ? {} : { resolve }),
    ...(ca === null ? {} : { ca }),
  })
  const agent = new Agent({
    connect: connector.connect,
    connections: 8,
    pipelining: 1,
    allowH2: false,
    maxHeaderSize: 16 * 1024,
    keepAliveTimeout: 4_000,
    keepAliveMaxTimeout: 10_000,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
  })

  const fetch: ProviderFetch = async (url, { method, headers, body, signal }) => {
    const target = new URL(url)
    const verdict = isSecureUrl(target) ? checkTarget(url, rules) : notSecure
    if (!verdict.ok) throw errorOf({ code: 'target_refused', message: verdict.reason })
    const whole = AbortSignal.timeout(timeoutMs)
    const reply = await agent.request({
      origin: target.origin,
      path: target.pathname + target.search,
      method: method === 'POST' ? 'POST' : 'GET',
      headers: { ...headers, 'accept-encoding': 'identity' },
      body: body == null ? null : String(body),
      signal: signal === undefined ? whole : AbortSignal.any([signal, whole]),
    })
    const fields = Object.entries(reply.headers).flatMap(([name, value]) =>
      [value ?? []].flat().map((one): [string, string] => [name, one]),
    )
    const text = await readAll(reply.body, maxReplyBytes)
    return new Response([204, 205, 304].includes(reply.statusCode) ? null : text, {
      status: reply.statusCode,
      headers: fields,
    })
  }

  const close = async (): Promise<void> => {
    await agent.destroy()
    await connector.close()
  }

  return { fetch, close }
}

/** The code of the error for a reply longer than `maxReplyBytes`. */
export const replyTooLong = 'reply_too_long'

const notSecure = {
  ok: false,
  reason: 'The identity provider URL must begin with https://; http:// is only for a provider on this machine.',
} as const

async function readAll(body: AsyncIterable<Buffer>, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    // Leaving the loop destroys the stream, and with it the connection.
    if (length > maxBytes) {
      throw Object.assign(new Error(`the reply is longer than ${maxBytes} bytes`), { code: replyTooLong })
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
