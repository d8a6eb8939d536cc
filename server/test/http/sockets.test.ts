import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import { createHttpServer } from '../../src/http/server.ts'
import { createLog } from '../../src/platform/log.ts'
import { startTestApp, type TestApp, testConfig } from '../harness.ts'
import { listening } from './listening.ts'

let t: TestApp
let port: number
before(async () => {
  t = await startTestApp({ environment: { REQUEST_TIMEOUT_SECONDS: '1', BODY_LIMIT_BYTES: '2048' } })
  port = await listening(t.app.http)
})
after(() => t.stop())

async function open(): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  return socket
}

/** Everything the server says until it hangs up. */
async function readToEnd(socket: Socket): Promise<string> {
  let text = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  // A reset after the reply also counts as hanging up.
  socket.on('error', () => {})
  await once(socket, 'close')
  return text
}

async function say(text: string | Buffer): Promise<string> {
  const socket = await open()
  const answer = readToEnd(socket)
  socket.write(text)
  return answer
}

function assertProblem(answer: string, status: number, code: string): void {
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  assert.match(head, new RegExp(`^HTTP/1\\.1 ${status} `), answer)
  assert.match(head, /content-type: application\/problem\+json/i)
  assert.match(head, /connection: close/i)
  const problem = JSON.parse(body)
  assert.equal(problem.status, status)
  assert.equal(problem.code, code)
  assert.equal(typeof problem.detail, 'string')
  assert.match(head, new RegExp(`x-request-id: ${problem.request_id}`, 'i'))
}

const large = 'x'.repeat(20_000)

describe('bytes that never become a request get a refusal in the same form, and the connection is closed', () => {
  for (const [status, code, what, text] of [
    [
      431,
      'http.headers_too_large',
      'one header of 20 kB',
      `GET /health HTTP/1.1\r\nHost: x\r\nX-Large: ${large}\r\n\r\n`,
    ],
    [431, 'http.headers_too_large', 'an address of 20 kB', `GET /${large} HTTP/1.1\r\nHost: x\r\n\r\n`],
    [
      431,
      'http.headers_too_large',
      'a token of 20 kB',
      `GET /health HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${large}\r\n\r\n`,
    ],
    [400, 'http.malformed', 'no HTTP at all', 'hello\r\n\r\n'],
    [
      400,
      'http.malformed',
      'TLS on the plain port',
      Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03]),
    ],
    [501, 'http.method_unknown', 'a method nobody knows', 'FETCH /health HTTP/1.1\r\nHost: x\r\n\r\n'],
    [400, 'http.malformed', 'an unknown version', 'GET /health HTTP/7.7\r\nHost: x\r\n\r\n'],
    [400, 'http.malformed', 'a header without a colon', 'GET /health HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n'],
    [400, 'http.malformed', 'a NUL in a header', 'GET /health HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\n\r\n'],
    [
      400,
      'http.malformed',
      'a length that is no number',
      'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n',
    ],
    [
      400,
      'http.malformed',
      'two lengths',
      'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!',
    ],
    [
      400,
      'http.malformed',
      'a length and chunks (request smuggling)',
      'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    [
      400,
      'http.malformed',
      'a chunk size that is none',
      'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
    ],
  ] as const) {
    test(`${status}: ${what}`, async () => assertProblem(await say(text), status, code))
  }
})

describe('408 for a request that does not arrive within REQUEST_TIMEOUT_SECONDS', () => {
  for (const [what, text] of [
    ['headers without an end', 'GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: '],
    [
      'a body without an end',
      'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"user',
    ],
  ] as const) {
    test(what, async () => assertProblem(await say(text), 408, 'http.request_timeout'))
  }
})

test('413 for a body in chunks without a length, as soon as the limit is passed', async () => {
  const head =
    'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n'
  const answer = await say(`${head}${'400\r\n'.concat('x'.repeat(1_024), '\r\n').repeat(3)}`)
  assert.match(answer, /^HTTP\/1\.1 413 /)
  assert.match(answer, /"code":"http.body_too_large"/)
})

test('after all this the service works as before, even with several calls on one connection', async () => {
  const socket = await open()
  const answer = readToEnd(socket)
  socket.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  const text = await answer
  assert.equal(text.match(/HTTP\/1\.1 200 OK/g)?.length, 2, text)
  assert.match(text, /"healthy"[\s\S]*"alive"/)
})

test('a real client gets the same reply over the network as in this process', async () => {
  const reply = await fetch(`http://127.0.0.1:${port}/api/v1/auth/me/`, {
    headers: { authorization: `bearer ${t.admin.token}` },
  })
  assert.equal(reply.status, 200)
  assert.equal(reply.redirected, false)
  assert.deepEqual(await reply.json(), (await t.call('GET', '/api/v1/auth/me', { as: t.admin.token })).body)
})

test('a connection that never finishes its request does not keep the service from stopping', async (context) => {
  const http = await createHttpServer(createLog('silent', false), { ...testConfig(), SHUTDOWN_GRACE_SECONDS: 0.2 })
  context.after(() => http.close())
  http.post('/', async () => 'done')
  const port = await listening(http)
  const socket = connect(port, '127.0.0.1')
  const hungUp = readToEnd(socket)
  socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{')
  await once(http.server, 'request')
  await http.close()
  assert.equal(await hungUp, '')
})

describe('a stop closes every connection without a request under way within a second', () => {
  const reply = /^HTTP\/1\.1 200 [\s\S]*\r\n\r\n\{"status":"alive"\}$/
  for (const [what, sent, isThere] of [
    ['silent since it was opened', '', null],
    ['half a head', 'GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: ', null],
    ['kept alive after a reply', 'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n', reply],
    ['half a head after a reply', 'GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /livez HT', reply],
  ] as const) {
    test(what, async (context) => {
      const http = await createHttpServer(createLog('silent', false), testConfig())
      context.after(() => http.server.closeAllConnections())
      http.get('/livez', async () => ({ status: 'alive' }))
      const port = await listening(http)
      const accepted = once(http.server, 'connection')
      const socket = connect(port, '127.0.0.1')
      let text = ''
      socket.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      const closed = new Promise((resolve) => socket.on('error', () => {}).once('close', resolve))
      await accepted
      socket.write(sent)
      if (isThere !== null) await context.waitFor(() => assert.match(text, isThere))
      const begun = performance.now()
      await Promise.all([http.close(), closed])
      assert.ok(performance.now() - begun < 1_000, `the stop took ${performance.now() - begun} ms`)
      assert.match(text, isThere ?? /^$/)
    })
  }
})

test('a reply that began before a stop is sent completely, and its connection does not delay the stop', async (context) => {
  const http = await createHttpServer(createLog('silent', false), { ...testConfig(), SHUTDOWN_GRACE_SECONDS: 10 })
  context.after(() => http.server.closeAllConnections())
  const body = new PassThrough()
  http.get('/slow', async (_request, reply) => reply.send(body))
  const port = await listening(http)
  const socket = connect(port, '127.0.0.1')
  socket.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n')
  body.write('first')
  await once(socket, 'readable')
  const closed = http.close()
  // It is not idle, and so is left open.
  await context.waitFor(() => assert.equal(http.server.listening, false))
  const ended = performance.now()
  body.end('last')
  const [answer] = await Promise.all([readToEnd(socket), closed])
  assert.ok(performance.now() - ended < 5_000, 'the stop waits neither for the client to hang up nor for the grace')
  assert.match(answer, /^HTTP\/1\.1 200 [\s\S]*first[\s\S]*last\r\n0\r\n\r\n$/)
  assert.doesNotMatch(answer, /connection: close/i)
})

test('calls under way get their reply when the service stops', async (context) => {
  const stopping = await startTestApp()
  let stopped: Promise<void> | null = null
  context.after(() => stopped ?? stopping.stop())
  const port = await listening(stopping.app.http)
  const signIn = fetch(`http://127.0.0.1:${port}/api/v1/auth/login`, {
    method: 'POST',
    body: new URLSearchParams({ username: 'admin@example.com', password: 'password123' }),
  })
  await once(stopping.app.http.server, 'request')
  stopped = stopping.stop()
  const answer = await signIn
  assert.equal(answer.status, 200)
  assert.equal(answer.headers.get('connection'), 'close')
  const answered = performance.now()
  await stopped
  assert.ok(performance.now() - answered < 5_000, 'the stop does not wait for the client to hang up')
  await assert.rejects(fetch(`http://127.0.0.1:${port}/health`))
})
