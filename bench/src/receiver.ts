import { createHmac, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Longer than three retries of the default schedule. */
const patienceMs = 20_000

export interface Receiver {
  readonly url: string
  readonly secret: string
  /** Resolves with the time (performance.now) when the request's callback arrived, once its signature is checked. */
  expect(requestId: string): Promise<number>
  close(): void
}

/** Receives callbacks as an agent would: replies 200 with no body and checks `X-Webhook-Signature` over the raw bytes. */
export async function openReceiver(): Promise<Receiver> {
  const secret = 'the secret that agent and service share'
  const expected = new Map<string, { arrived(at: number): void; failed(error: Error): void }>()

  const take = (request: IncomingMessage, body: Buffer, at: number): void => {
    const { request_id: id } = JSON.parse(body.toString()) as { request_id: string }
    const waiting = expected.get(id)
    expected.delete(id)
    if (isSigned(body, String(request.headers['x-webhook-signature']), secret)) waiting?.arrived(at)
    else waiting?.failed(new Error('the signature of a callback is wrong'))
  }

  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => void chunks.push(chunk))
    request.on('end', () => {
      const at = performance.now()
      response.writeHead(200, { 'content-length': 0 }).end()
      take(request, Buffer.concat(chunks), at)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/callback`,
    secret,
    expect: (requestId) =>
      new Promise((resolve, reject) => {
        const failed = (error: Error): void => {
          clearTimeout(timer)
          reject(error)
        }
        const timer = setTimeout(() => {
          expected.delete(requestId)
          failed(new Error(`no callback within ${patienceMs / 1_000} s`))
        }, patienceMs)
        const arrived = (at: number): void => {
          clearTimeout(timer)
          resolve(at)
        }
        expected.set(requestId, { arrived, failed })
      }),
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}

function isSigned(body: Buffer, signature: string, secret: string): boolean {
  const wanted = Buffer.from(`sha256=${createHmac('sha256', secret).update(body).digest('hex')}`)
  const given = Buffer.from(signature)
  return given.length === wanted.length && timingSafeEqual(given, wanted)
}
