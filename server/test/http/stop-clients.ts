// A thread of clients for the test of stops: half keep their connections, half open a new one for each request, and each goes
// on until it cannot connect any more.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { parentPort } from 'node:worker_threads'

export const endings = { replied: 'replied', refused: 'refused', lost: 'lost' } as const

export interface Call {
  readonly ending: (typeof endings)[keyof typeof endings]
  /** The port of the client. */
  readonly from: number
}

const clients = 16
const post = 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n'

/** Connects, or null where nobody listens. */
async function opened(port: number): Promise<Socket | null> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
  } catch {
    return null
  }
  return socket.on('error', () => {}).setEncoding('utf8')
}

/** The reply, or '' where the connection ended without one. */
function ask(socket: Socket, more: string): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    const read = (chunk: string) => {
      text += chunk
      if (text.endsWith('}')) done()
    }
    const done = () => {
      socket.off('data', read).off('close', done)
      resolve(text.endsWith('}') ? text : '')
    }
    socket.on('data', read).on('close', done)
    socket.write(`${post}${more}\r\n`)
  })
}

async function client(port: number, keeps: boolean, calls: Call[]): Promise<void> {
  for (;;) {
    const socket = await opened(port)
    if (socket === null) {
      calls.push({ ending: endings.refused, from: 0 })
      return
    }
    const from = socket.localPort ?? 0
    let ends = false
    while (!ends) {
      const text = await ask(socket, keeps ? '' : 'Connection: close\r\n')
      calls.push({ ending: text === '' ? endings.lost : endings.replied, from })
      ends = text === '' || /connection: close/i.test(text)
    }
    socket.destroy()
  }
}

parentPort?.on('message', async (port: number) => {
  const calls: Call[] = []
  await Promise.all(Array.from({ length: clients }, (_, n) => client(port, n % 2 === 0, calls)))
  parentPort?.postMessage(calls)
})
