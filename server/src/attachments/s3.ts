import { createHash, createHmac } from 'node:crypto'
import { Readable } from 'node:stream'
import { SignatureV4 } from '@smithy/signature-v4'
import { Agent, type Dispatcher } from 'undici'
import type { Logger } from '../platform/log.ts'
import type { AttachmentSettings } from '../settings/attachments.ts'
import { storeUnavailable } from './attachment.ts'
import type { ByteRange } from './byte-range.ts'

/** Objects in an S3-compatible store. Each call throws 503 when the store does not do it; the cause is in the log. */
export interface ObjectStore {
  put(key: string, size: number, sha256: string, content: AsyncIterable<Buffer>): Promise<void>
  get(key: string, range: ByteRange | null): Promise<Readable>
  /** Also where there is none. */
  remove(key: string): Promise<void>
  close(): Promise<void>
}

/** A store that takes nothing, or sends nothing, for this long is down. */
const silentMs = 10_000
/** Of a whole upload to the store, beside the time in which it may be silent. */
const putBytesPerMs = 512
const excerptBytes = 1_000

/** Null without S3_ENDPOINT. */
export function openObjectStore(settings: AttachmentSettings, log: Logger): ObjectStore | null {
  const {
    S3_ENDPOINT,
    S3_BUCKET: bucket,
    S3_ACCESS_KEY_ID: accessKeyId,
    S3_SECRET_ACCESS_KEY: secretAccessKey,
  } = settings
  if (S3_ENDPOINT === null || bucket === null || accessKeyId === null || secretAccessKey === null) return null
  const endpoint = new URL(S3_ENDPOINT)
  if (!settings.S3_PATH_STYLE) endpoint.hostname = `${bucket}.${endpoint.hostname}`
  const folder = `${settings.S3_PATH_STYLE ? `/${bucket}/` : '/'}${settings.S3_PREFIX ?? ''}`
  const signer = new SignatureV4({
    service: 's3',
    region: settings.S3_REGION,
    credentials: { accessKeyId, secretAccessKey },
    sha256: Sha256 as never,
    uriEscapePath: false,
    applyChecksum: false,
  })
  const options = {
    connect: { timeout: 5_000 },
    headersTimeout: silentMs,
    bodyTimeout: silentMs,
    maxHeaderSize: 16_384,
  }
  // Readers may be slow, and their number is bounded elsewhere (http/bytes-under-way.ts): they are not in the way of the others.
  const agents = { reading: new Agent(options), writing: new Agent({ ...options, connections: 32 }) }

  const call = async (
    method: 'PUT' | 'GET' | 'DELETE',
    key: string,
    sha256: string,
    more: Readonly<Record<string, string>> = {},
    sent: { readonly body?: Readable; readonly signal?: AbortSignal } = {},
  ): Promise<Dispatcher.ResponseData> => {
    const path = folder + key
    try {
      const unsigned = {
        method,
        protocol: endpoint.protocol,
        hostname: endpoint.hostname,
        path,
        query: {},
        headers: { host: endpoint.host, 'x-amz-content-sha256': sha256, ...more },
      }
      // By the system's clock: the store refuses signatures of another time.
      const { headers } = await signer.sign(unsigned, { signingDate: new Date() })
      const agent = method === 'GET' ? agents.reading : agents.writing
      const reply = await agent.request({ origin: endpoint.origin, method, path, headers, ...sent })
      const { statusCode } = reply
      if (statusCode >= 200 && statusCode < 300) return reply
      const text = await excerptOf(reply.body)
      throw new Error(`the store replied ${statusCode} to ${method}: ${text}`)
    } catch (error) {
      log.error({ err: error, method, key }, 'the S3 store of attachments failed')
      throw storeUnavailable(error)
    }
  }
  const nothing = createHash('sha256').digest('hex')

  return {
    put: async (key, size, sha256, content) => {
      const headers = { 'content-length': String(size), 'content-type': 'application/octet-stream' }
      const body = Readable.from(content, { objectMode: false })
      const reply = await call('PUT', key, sha256, headers, {
        body,
        signal: AbortSignal.timeout(silentMs + Math.ceil(size / putBytesPerMs)),
      })
      await reply.body.dump()
    },
    get: async (key, range) => {
      const headers = range === null ? {} : { range: `bytes=${range.first}-${range.last}` }
      return (await call('GET', key, nothing, headers)).body
    },
    remove: async (key) => {
      const reply = await call('DELETE', key, nothing).catch((error: unknown) => {
        if (/replied 404/.test(String((error as Error).cause))) return null
        throw error
      })
      await reply?.body.dump()
    },
    close: async () => {
      await Promise.all([agents.reading.destroy(), agents.writing.destroy()])
    },
  }
}

/** The beginning of what a store says: the name of the error is in it. */
async function excerptOf(body: Readable): Promise<string> {
  let text = ''
  for await (const piece of body) {
    text += String(piece)
    if (text.length >= excerptBytes) break
  }
  return text.slice(0, excerptBytes)
}

/** SHA-256 and HMAC-SHA-256 in the form that the signer asks for. */
class Sha256 {
  readonly #hash: ReturnType<typeof createHash> | ReturnType<typeof createHmac>

  constructor(key?: string | Uint8Array) {
    this.#hash = key === undefined ? createHash('sha256') : createHmac('sha256', key)
  }

  update(data: string | Uint8Array): void {
    this.#hash.update(data)
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest()
  }
}
