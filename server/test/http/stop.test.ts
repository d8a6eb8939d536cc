import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { createHttpServer } from '../../src/http/server.ts'
import { createLog } from '../../src/platform/log.ts'
import { testConfig } from '../harness.ts'
import { listening } from './listening.ts'
import { type Call, endings } from './stop-clients.ts'

/** A server on a port of its own, whose POST takes a few turns of the event loop. */
async function startServer(context: TestContext) {
  const http = await createHttpServer(createLog('silent', false), testConfig())
  context.after(() => http.server.closeAllConnections())
  const accepted = new Set<number>()
  http.server.on('connection', ({ remotePort = 0 }) => accepted.add(remotePort))
  http.post('/', async () => {
    for (let turns = 0; turns < 3; turns += 1) await nextTurn()
    return { done: true }
  })
  const port = await listening(http)
  return { http, port, accepted }
}

const post = 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n'

/** A client, and everything it was sent until its connection ended. */
async function open(port: number, sent = ''): Promise<{ socket: Socket; answer: Promise<string> }> {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  const answer = new Promise<string>((resolve) => socket.once('close', () => resolve(Buffer.concat(chunks).toString())))
  await once(socket, 'connect')
  socket.write(sent)
  return { socket, answer }
}

const served = /^HTTP\/1\.1 200 [^{]*connection: close[^{]*\{"done":true\}$/i

describe('a stop serves, and says that the connection ends', () => {
  test('what the system holds for the port and the service has not accepted yet', async (context) => {
    const { http, port, accepted } = await startServer(context)
    const clients = Array.from({ length: 100 }, () => open(port, post))
    // They connect at the end of this turn of the event loop, before the server can look at its port.
    await new Promise<void>((resolve) => process.nextTick(resolve))
    assert.equal(accepted.size, 0)
    const stopped = http.close()
    for (const { answer } of await Promise.all(clients)) assert.match(await answer, served)
    await stopped
  })

  test('a request that comes a little later on a connection that was accepted and silent', async (context) => {
    const { http, port } = await startServer(context)
    const accepted = once(http.server, 'connection')
    const { socket, answer } = await open(port)
    await accepted
    const stopped = http.close()
    await context.waitFor(() => assert.equal(http.server.listening, false))
    socket.write(post)
    assert.match(await answer, served)
    await stopped
  })

  test('the second half of a request', async (context) => {
    const { http, port } = await startServer(context)
    const accepted = once(http.server, 'connection')
    const { socket, answer } = await open(port, post.slice(0, 20))
    await accepted
    const stopped = http.close()
    await context.waitFor(() => assert.equal(http.server.listening, false))
    socket.write(post.slice(20))
    assert.match(await answer, served)
    await stopped
  })

  test('another request on a connection that was kept alive', async (context) => {
    const { http, port } = await startServer(context)
    const { socket, answer } = await open(port, post)
    await once(socket, 'data')
    const stopped = http.close()
    await context.waitFor(() => assert.equal(http.server.listening, false))
    socket.write(post)
    const [first, second] = (await answer).split(/(?<=\})(?=HTTP)/)
    assert.doesNotMatch(first ?? '', /connection: close/i)
    assert.match(second ?? '', served)
    await stopped
  })
})

test('300 stops under load: every request on a connection that was accepted has its reply', async (context) => {
  const worker = new Worker(new URL('stop-clients.ts', import.meta.url))
  context.after(() => worker.terminate())
  let [replies, reset] = [0, 0]
  for (let round = 0; round < 300; round += 1) {
    const { http, port, accepted } = await startServer(context)
    let requests = 0
    const busy = new Promise<void>((resolve) => {
      // A different moment of the load each time.
      http.server.on('request', () => {
        requests += 1
        if (requests === 20 + (round % 50)) resolve()
      })
    })
    worker.postMessage(port)
    await busy
    const finished = once(worker, 'message') as Promise<[readonly Call[]]>
    await http.close()
    const [calls] = await finished
    replies += calls.filter(({ ending }) => ending === endings.replied).length
    const lost = calls.filter(({ ending, from }) => ending === endings.lost && accepted.has(from))
    assert.deepEqual(lost, [], `round ${round}`)
    reset += calls.filter(({ ending }) => ending === endings.lost).length
  }
  context.diagnostic(`${replies} replies; ${reset} connections were reset before the service could accept them`)
})
