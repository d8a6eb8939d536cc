import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { after } from 'node:test'
import type { FastifyInstance } from 'fastify'

/** Serves on a free port of this machine, and returns it. */
export async function listening(http: FastifyInstance): Promise<number> {
  await http.listen({ host: '127.0.0.1', port: 0 })
  const address = http.server.address()
  assert.ok(address !== null && typeof address === 'object')
  return address.port
}

/** Connections that are ended after the tests of the file, for calls that no HTTP client makes. */
export function rawConnections(port: () => number) {
  const open: Socket[] = []
  const endAll = () => open.splice(0).forEach((socket) => void socket.destroy())
  after(endAll)
  return {
    /** Sends a text and reads nothing; the test reads when it wants to. */
    begin: async (text: string, to = port()): Promise<Socket> => {
      const socket = connect(to, '127.0.0.1').on('error', () => {})
      open.push(socket)
      await once(socket, 'connect')
      socket.write(text)
      return socket
    },
    endAll,
  }
}

export async function readToEnd(socket: Socket): Promise<string> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  if (!socket.closed) await once(socket, 'close', { signal: AbortSignal.timeout(20_000) })
  return Buffer.concat(chunks).toString()
}
