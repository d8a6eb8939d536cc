import { Agent, type buildConnector } from 'undici'
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
  /** Null when the URL may be called; else why not. Asked for every call: the provider itself names most of the URLs. */
  readonly refusal: (url: string) => string | null
  /** Opens sockets only to addresses that may be called, and checks certificates. */
  readonly connect: buildConnector.connector
  readonly timeoutMs?: number
  readonly maxReplyBytes?: number
}

/** Told apart from what a provider does wrong: nothing was sent. */
export type TargetRefused = Error & { readonly code: 'sso.target_refused' }

export function isTargetRefused(error: unknown): error is TargetRefused {
  return error instanceof Error && 'code' in error && error.code === 'sso.target_refused'
}

/**
 * Calls to providers. What an administrator types as an issuer makes this service call it, and what that answers makes it
 * call more: each URL and each address is judged, no redirect is followed, nothing is decompressed, and no reply is longer
 * than a key set could be.
 */
export function createProviderHttp(options: ProviderHttpOptions): ProviderHttp {
  const { timeoutMs = 10_000, maxReplyBytes = 512 * 1024 } = options
  const agent = new Agent({
    connect: options.connect,
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
    const reason = isSecureUrl(target) ? options.refusal(url) : 'it is not https'
    if (reason !== null) throw Object.assign(new Error(reason), { code: 'sso.target_refused' })
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

  return { fetch, close: () => agent.destroy() }
}

async function readAll(body: AsyncIterable<Buffer>, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    // Leaving the loop destroys the stream, and with it the connection.
    if (length > maxBytes) throw new Error(`the reply is longer than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
