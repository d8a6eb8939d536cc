import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Logger } from '../platform/log.ts'

type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** Calls that a connection may send before it reads their replies: a packet of 64 KiB has room for 1 600, which all begin at once. */
const mostUnderWay = 32
/** Ends a connection that does nothing for this long, such as one whose peer does not read a small reply. */
const silentMs = 120_000
const sayEveryMs = 60_000

export interface ConnectionLimits {
  readonly keepAliveTimeout: number
  readonly requestTimeout: number
  readonly maxConnections: number
}

/** Knows what is under way on each connection, so that replies stay in order and nobody begins too much at once. */
export function createConnections(log: Logger) {
  const underWay = new WeakMap<Duplex, Set<ServerResponse>>()
  let [dropped, saidAt] = [0, Number.NEGATIVE_INFINITY]
  const noteDropped = (): void => {
    dropped += 1
    const now = performance.now()
    // Strangers decide how often this happens.
    if (now - saidAt < sayEveryMs) return
    saidAt = now
    log.warn({ dropped }, 'new connections were closed: this process has as many as MAX_CONNECTIONS allows')
    dropped = 0
  }

  const callsOf = (socket: Duplex): Set<ServerResponse> => {
    const calls = underWay.get(socket) ?? new Set()
    underWay.set(socket, calls)
    return calls
  }

  const isAccepted = ({ socket }: IncomingMessage, response: ServerResponse): boolean => {
    const calls = callsOf(socket)
    // A client may send again what had no reply when its connection ended (RFC 9112, 9.3.2).
    if (calls.size >= mostUnderWay) socket.destroy()
    // What came in the same packet is still read.
    if (socket.destroyed) return false
    calls.add(response)
    response.once('close', () => calls.delete(response))
    return true
  }

  return {
    /** For Fastify's `serverFactory`. */
    serverOf:
      (options: ServerOptions, { keepAliveTimeout, requestTimeout, maxConnections }: ConnectionLimits) =>
      (handle: Handler): Server => {
        const server = createServer({ ...options, keepAliveTimeout, requestTimeout }, (request, response) => {
          if (isAccepted(request, response)) handle(request, response)
        })
        // Dropped, because among several processes Node would hand it on and on while all are full.
        Object.assign(server, { maxConnections, dropMaxConnection: true })
        return server.on('drop', noteDropped).setTimeout(silentMs)
      },

    /** Calls back when all complete calls on this connection have their replies, unless one that is not complete has begun to get its own. */
    afterReplies: (socket: Duplex, act: () => void): void => {
      const calls = [...(underWay.get(socket) ?? [])]
      if (calls.some(({ req, headersSent }) => !req.complete && headersSent)) {
        socket.destroy()
        return
      }
      let left = 0
      for (const call of calls.filter(({ req }) => req.complete)) {
        left += 1
        call.once('close', () => {
          left -= 1
          if (left === 0) act()
        })
      }
      if (left === 0) act()
    },
  }
}
