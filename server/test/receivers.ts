import { once } from 'node:events'
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer, type ServerOptions } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Server as NetServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'

/** A request as it arrived, with the raw bytes of its body. */
export interface ReceivedRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
  /** Unix time in milliseconds, when the body was complete */
  readonly at: number
  /** 1 for the first connection the receiver accepted, 2 for the second ... */
  readonly connection: number
}

export interface Reply {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
}

/** What a receiver does with a request: a fixed reply, or a function that handles the response. */
export type Behaviour = Reply | ((response: ServerResponse, request: ReceivedRequest, count: number) => void)

export interface Receiver {
  /** `http://127.0.0.1:port` or `https://localhost:port`, without a path */
  readonly url: string
  readonly port: number
  readonly requests: readonly ReceivedRequest[]
  /** connections accepted so far */
  readonly connections: number
  /** Connections open now. */
  readonly openConnections: number
  /** The requests, as soon as there are `count`; rejects after 10 s. */
  waitFor(count: number): Promise<readonly ReceivedRequest[]>
  /** Resolves when no connection is open; rejects after 10 s. */
  waitForNoConnection(): Promise<void>
  /** Changes how the next requests are handled. */
  behave(behaviour: Behaviour): void
  close(): Promise<void>
}

const PATIENCE_MS = 10_000

/** A real HTTP receiver on 127.0.0.1 (HTTPS if `tls` is given) that records every request and replies 200 "ok" by default. */
export async function startReceiver(
  options: { readonly behaviour?: Behaviour; readonly tls?: ServerOptions; readonly host?: string } = {},
): Promise<Receiver> {
  let behaviour: Behaviour = options.behaviour ?? { body: 'ok' }
  const requests: ReceivedRequest[] = []
  const changes = createWatch()

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const received = {
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      body: Buffer.concat(chunks),
      at: Date.now(),
      connection: counted.numberOf(request.socket),
    }
    requests.push(received)
    changes.notify()
    if (typeof behaviour === 'function') return behaviour(response, received, requests.length)
    response.writeHead(behaviour.status ?? 200, behaviour.headers).end(behaviour.body)
  }

  // A request may break off while it is read; only its sender cares.
  const listener = (request: IncomingMessage, response: ServerResponse) =>
    void answer(request, response).catch(() => {})
  const server: Server = options.tls ? createHttpsServer(options.tls, listener) : createHttpServer(listener)
  const counted = countConnections(server, changes.notify)
  const port = await listen(server, options.host)

  return {
    url: options.tls ? `https://localhost:${port}` : `http://127.0.0.1:${port}`,
    port,
    requests,
    get connections() {
      return counted.accepted()
    },
    get openConnections() {
      return counted.open()
    },
    waitFor: async (count) => {
      await changes.until(
        () => requests.length >= count,
        () => `${requests.length} of ${count} requests`,
      )
      return requests
    },
    waitForNoConnection: () =>
      changes.until(
        () => counted.open() === 0,
        () => `${counted.open()} open connections`,
      ),
    behave: (next) => {
      behaviour = next
    },
    close: counted.close,
  }
}

export interface RawReceiver {
  readonly url: string
  readonly port: number
  readonly connections: number
  readonly openConnections: number
  waitForNoConnection(): Promise<void>
  close(): Promise<void>
}

/** A TCP server on 127.0.0.1 for everything an HTTP server cannot be made to do; `onConnection` gets each socket and its number from 1. */
export async function startRawReceiver(
  onConnection: (socket: Socket, connection: number) => void,
  options: { readonly host?: string } = {},
): Promise<RawReceiver> {
  const changes = createWatch()
  const server = createTcpServer((socket) => {
    socket.on('error', () => {})
    onConnection(socket, counted.accepted())
  })
  const counted = countConnections(server, changes.notify)
  const port = await listen(server, options.host)
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    get connections() {
      return counted.accepted()
    },
    get openConnections() {
      return counted.open()
    },
    waitForNoConnection: () =>
      changes.until(
        () => counted.open() === 0,
        () => `${counted.open()} open connections`,
      ),
    close: counted.close,
  }
}

/** A receiver that is closed when the test ends. */
export async function receiverFor(test: TestContext, ...options: Parameters<typeof startReceiver>): Promise<Receiver> {
  const receiver = await startReceiver(...options)
  test.after(() => receiver.close())
  return receiver
}

/** A TCP server that is closed when the test ends. */
export async function rawReceiverFor(
  test: TestContext,
  ...options: Parameters<typeof startRawReceiver>
): Promise<RawReceiver> {
  const receiver = await startRawReceiver(...options)
  test.after(() => receiver.close())
  return receiver
}

/** A port on 127.0.0.1 that nothing listens on any more. */
export async function freePort(): Promise<number> {
  const server = createTcpServer()
  const port = await listen(server)
  await new Promise((closed) => server.close(closed))
  return port
}

async function listen(server: NetServer, host = '127.0.0.1'): Promise<number> {
  // A test that failed before it closed its receiver must not keep the process.
  server.listen(0, host).unref()
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

function countConnections(server: NetServer, notify: () => void) {
  const open = new Set<Socket>()
  // By the sender's port, which is the same for the socket of a request and the TCP socket below its TLS.
  const numbers = new Map<number | undefined, number>()
  let accepted = 0
  server.prependListener('connection', (socket: Socket) => {
    accepted += 1
    numbers.set(socket.remotePort, accepted)
    open.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => {
      open.delete(socket)
      notify()
    })
  })
  async function close(): Promise<void> {
    const closed = new Promise((done) => server.close(done))
    for (const socket of open) socket.destroy()
    await closed
  }
  return {
    accepted: () => accepted,
    open: () => open.size,
    numberOf: (socket: Socket) => numbers.get(socket.remotePort) ?? 0,
    close,
  }
}

/** Lets tests wait for a condition instead of a time. */
function createWatch() {
  const waiting = new Set<() => void>()
  function notify(): void {
    for (const check of waiting) check()
  }
  function until(holds: () => boolean, seen: () => string): Promise<void> {
    return new Promise((resolve, reject) => {
      const check = () => {
        if (!holds()) return
        clearTimeout(timer)
        waiting.delete(check)
        resolve()
      }
      const timer = setTimeout(() => {
        waiting.delete(check)
        reject(new Error(`gave up after ${PATIENCE_MS} ms: ${seen()}`))
      }, PATIENCE_MS)
      waiting.add(check)
      check()
    })
  }
  return { notify, until }
}
