import { Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'

/**
 * What a stop does with connections. Those without a request under way close at once, also those that have sent nothing or
 * half a head: Node counts them as busy and would wait for them. Those with one close after their reply instead of after the
 * client's keep-alive (75 s). Requests that never arrive completely end with the grace period, because Node no longer looks
 * for late requests once the server closes.
 */
export function registerStop(app: FastifyInstance, graceMs: number): void {
  let stopping = false
  /** How many requests of each open connection are under way. */
  const underWay = new Map<Socket, number>()
  app.server.on('connection', (socket) => {
    underWay.set(socket, 0)
    socket.once('close', () => underWay.delete(socket))
  })
  app.server.on('request', ({ socket }, response) => {
    count(socket, 1)
    response.once('close', () => count(socket, -1))
  })
  const count = (socket: Socket, change: 1 | -1): void => {
    const before = underWay.get(socket)
    if (before !== undefined) underWay.set(socket, before + change)
  }

  app.addHook('preClose', async () => {
    stopping = true
    setTimeout(() => app.server.closeAllConnections(), graceMs).unref()
    // Requests that this machine has received already are read first.
    await setImmediate()
    await setImmediate()
    for (const [socket, requests] of underWay) if (requests === 0) socket.destroy()
  })
  app.addHook('onSend', (_request, reply, payload, done) => {
    if (stopping) reply.header('connection', 'close')
    done(null, payload)
  })
  app.addHook('onResponse', (request, _reply, done) => {
    // A reply whose head was sent before the stop could not carry "Connection: close". (Injected calls have no real socket.)
    if (stopping && request.raw.socket instanceof Socket) request.raw.socket.destroySoon()
    done()
  })
}
