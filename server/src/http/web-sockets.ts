import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { type WebSocket, WebSocketServer } from 'ws'
import { refusal } from '../platform/problem.ts'

declare module 'fastify' {
  interface FastifyReply {
    /** Accepts the call as a WebSocket, which is its reply. Throws 426 when it does not ask for one. */
    acceptWebSocket(): WebSocket
  }
}

export const notAWebSocket = refusal(426, 'request.not_a_web_socket', {
  detail: 'This address is for WebSockets (RFC 6455): connect with a client for them, or use the server-sent events.',
  headers: { upgrade: 'websocket', 'sec-websocket-version': '13' },
})

/** Clients only listen, so what they send is small: pings and the word that they close. */
const mostSentBytes = 1_024

/** For Node's HTTP server: other upgrades, which a client only offers (RFC 9110, 7.8), are ignored, and their calls are calls like any other. */
export const asksForWebSocket = ({ method, headers }: IncomingMessage): boolean =>
  method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket'

const token = "[\\w!#$%&'*+.^`|~-]+"
const protocols = new RegExp(`^${token}(?:[ \\t]*,[ \\t]*${token})*$`)

/** A handshake as RFC 6455, 4.2.1 has it, which the library then accepts. */
function isHandshake({ headers }: IncomingMessage): boolean {
  return (
    headers['sec-websocket-version'] === '13' &&
    /^[+/0-9A-Za-z]{22}==$/.test(headers['sec-websocket-key'] ?? '') &&
    protocols.test(headers['sec-websocket-protocol'] ?? 'none')
  )
}

/** Routes calls that ask for a WebSocket like every other call, so that hooks, limits and guards come first, and refusals are replies of HTTP. */
export function registerWebSockets(app: FastifyInstance): void {
  const acceptor = new WebSocketServer({
    noServer: true,
    maxPayload: mostSentBytes,
    // It would hold 300 kB for each connection (the library's documents), and messages are small.
    perMessageDeflate: false,
    clientTracking: false,
  })
  const begun = new WeakMap<IncomingMessage, Buffer>()
  app.server.on('upgrade', (raw: IncomingMessage, socket: Socket, head: Buffer) => {
    begun.set(raw, head)
    socket.on('error', () => socket.destroy())
    const response = new ServerResponse(raw)
    // Nobody reads further calls on this connection.
    response.shouldKeepAlive = false
    response.assignSocket(socket)
    response.once('finish', () => socket.end())
    app.routing(raw, response)
  })
  app.decorateReply('acceptWebSocket', function (): WebSocket {
    const { raw } = this.request
    const head = begun.get(raw)
    if (head === undefined || !isHandshake(raw)) throw notAWebSocket()
    this.hijack()
    this.raw.detachSocket(raw.socket)
    let accepted: WebSocket | null = null
    acceptor.handleUpgrade(raw, raw.socket, head, (socket) => {
      accepted = socket
    })
    if (accepted === null) throw new Error('the handshake was refused')
    return accepted
  })
}
