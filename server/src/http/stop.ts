import { Server, Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'

/** A proxy sends the request within milliseconds once it has a connection, and a busy machine takes longer to read it. */
const quietMs = 500

/**
 * What a stop does with connections. First the port is closed, so that proxies and clients go to other processes. What was
 * accepted before is served, and each reply says `Connection: close`. Connections without a request under way stay open for
 * another half a second, because one may be on its way: a proxy repeats neither a POST on a connection that it has just opened
 * nor on one that was kept alive. Whoever reuses theirs in this time learns that it ends. Requests that never arrive completely
 * end with the grace period, because Node no longer looks for late requests once the server closes.
 */
export function registerStop(app: FastifyInstance, graceMs: number): void {
  let stopping = false
  /** How many requests of each open connection are under way. */
  const underWay = new Map<Socket, number>()
  /** How many connections have none. */
  let quiet = 0
  app.server.on('connection', (socket) => {
    underWay.set(socket, 0)
    quiet += 1
    socket.once('close', () => {
      if (underWay.get(socket) === 0) quiet -= 1
      underWay.delete(socket)
      changed()
    })
  })
  app.server.on('request', ({ socket }, response) => {
    count(socket, 1)
    response.once('close', () => count(socket, -1))
  })
  // Until it is closed: who begins WebSockets closes them, and says why.
  app.server.on('upgrade', ({ socket }) => count(socket, 1))
  let changed = (): void => {}
  const count = (socket: Socket, change: 1 | -1): void => {
    const before = underWay.get(socket)
    if (before === undefined) return
    underWay.set(socket, before + change)
    if (before === 0) quiet -= 1
    if (before + change === 0) quiet += 1
    changed()
  }
  /** Resolves when every connection has a request under way, and at the latest after this time. */
  const noneIsQuiet = (mostMs: number) =>
    new Promise<void>((resolve) => {
      const late = setTimeout(resolve, mostMs)
      changed = () => {
        if (quiet > 0) return
        clearTimeout(late)
        changed = () => {}
        resolve()
      }
      changed()
    })

  app.addHook('preClose', async () => {
    stopping = true
    setTimeout(() => app.server.closeAllConnections(), graceMs).unref()
    await closePort(app.server)
    await noneIsQuiet(Math.min(quietMs, graceMs))
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

/** The longest turn of the event loop after which the port may be closed, and how many turns to wait for one. */
const turn = { mostMs: 1, most: 2_000 } as const

/**
 * Accepts what the system holds for the port, one connection in each turn of the event loop, and closes it. The system resets
 * what arrives in between, so it is closed right after a turn in which there was hardly anything else to do.
 */
async function closePort(server: Server): Promise<void> {
  if (!server.listening) return
  let accepted = 0
  server.on('connection', () => {
    accepted += 1
  })
  // Into the phase behind the one that accepts.
  await setImmediate()
  for (let left: number = turn.most; left > 0; left -= 1) {
    const [before, began] = [accepted, performance.now()]
    await setImmediate()
    if (accepted === before && performance.now() - began < turn.mostMs) break
  }
  // Not that of HTTP, which closes idle connections too; Fastify calls it afterwards.
  Server.prototype.close.call(server)
}
