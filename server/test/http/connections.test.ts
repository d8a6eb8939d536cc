import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { createLog } from '../../src/platform/log.ts'
import { eventually } from '../eventually.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { listening, rawConnections, readToEnd } from './listening.ts'

let t: TestApp
let port: number
before(async () => {
  t = await startTestApp({ environment: { REQUEST_TIMEOUT_SECONDS: '2' } })
  port = await listening(t.app.http)
})
after(() => t.stop())

const { begin: send } = rawConnections(() => port)

test('beyond MAX_CONNECTIONS a new one is closed, and those that are there go on', async (c) => {
  const lines: string[] = []
  const log = createLog('warn', false, { write: (line: string) => void lines.push(line) })
  const u = await startTestApp({ environment: { MAX_CONNECTIONS: '10', MOST_WAITS: '5' }, log })
  c.after(() => u.stop())
  const full = await listening(u.app.http)
  const dial = () => send('', full)
  const sockets: Socket[] = []
  while (sockets.length < 10) sockets.push(await dial())
  const { server } = u.app.http
  await eventually('the server has them', async () => {
    const count = await promisify(server.getConnections.bind(server))()
    return count === 10
  })
  assert.equal(await readToEnd(await dial()), '')
  assert.equal(await readToEnd(await dial()), '')
  assert.equal(lines.filter((line) => line.includes('MAX_CONNECTIONS')).length, 1, 'one line a minute')
  const [first, second] = sockets as [Socket, Socket]
  first.write(get('/livez', 'Connection: close\r\n'))
  assert.deepEqual(statuses(await readToEnd(first)), ['HTTP/1.1 200'])
  await eventually('there is room', async () => {
    const another = await dial()
    another.write(get('/livez', 'Connection: close\r\n'))
    return (await readToEnd(another)).startsWith('HTTP/1.1 200')
  })
  second.write(get('/livez', 'Connection: close\r\n'))
  assert.deepEqual(statuses(await readToEnd(second)), ['HTTP/1.1 200'])
})

const statuses = (answer: string): readonly string[] => answer.match(/HTTP\/1\.1 \d{3}(?= )/g) ?? []
const get = (path: string, more = ''): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n${more}\r\n`
const login = (more: string, body: string): string =>
  `POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${more}\r\n${body}`

describe('what is no HTTP, behind a call on the same connection', () => {
  const credentials = JSON.stringify({ username: 'admin@example.com', password: 'password123' })
  const signIn = login(`Content-Length: ${credentials.length}\r\n`, credentials)

  for (const [what, first, status] of [
    ['a health check', get('/health'), '200'],
    ['a sign-in, which has happened', signIn, '200'],
    ['a file', get('/docs/static/swagger-ui.css'), '200'],
  ] as const) {
    test(`is refused after the reply to ${what}`, async () => {
      const answer = await readToEnd(await send(`${first}hello\r\n\r\n`))
      assert.deepEqual(statuses(answer), [`HTTP/1.1 ${status}`, 'HTTP/1.1 400'], answer.slice(0, 2_000))
      assert.match(answer, /"code":"http.malformed"[^}]*}$/)
    })
  }

  test('in the body of a call is refused after the replies to the calls before it', async () => {
    const broken = login('Transfer-Encoding: chunked\r\n', 'zz\r\n')
    const answer = await readToEnd(await send(`${get('/health')}${broken}`))
    assert.deepEqual(statuses(answer), ['HTTP/1.1 200', 'HTTP/1.1 400'], answer)
  })
})

describe('a call that two readers could read differently is refused', () => {
  for (const coding of ['gzip, chunked', 'x, chunked', 'identity, chunked', 'chunked, chunked']) {
    test(`Transfer-Encoding: ${coding}`, async () => {
      const answer = await readToEnd(
        await send(login(`Connection: close\r\nTransfer-Encoding: ${coding}\r\n`, '2\r\n{}\r\n0\r\n\r\n')),
      )
      assert.match(answer, /^HTTP\/1\.1 400 [\s\S]*"code":"http.malformed"/)
    })
  }

  test('GET *', async () => {
    const answer = await readToEnd(await send(get('*', 'Connection: close\r\n')))
    assert.match(answer, /^HTTP\/1\.1 400 /)
  })
})

test('a connection with more calls at once than any client sends is ended, and the others go on', async () => {
  const flood = await readToEnd(await send(get('/setup').repeat(1_500)))
  assert.ok(statuses(flood).length <= 32, `${statuses(flood).length} replies`)
  const few = await readToEnd(await send(`${get('/livez').repeat(9)}${get('/livez', 'Connection: close\r\n')}`))
  assert.equal(statuses(few).length, 10)
})

test('readers of a file that take nothing are few at once, and are disconnected', async () => {
  const readers = await Promise.all(
    Array.from({ length: 200 }, () =>
      send(get('/redoc/redoc.js').repeat(3) + get('/redoc/redoc.js', 'Connection: close\r\n')),
    ),
  )
  const unread = readers.slice(0, 150).map((socket) => socket.pause())
  const answers = await Promise.all(readers.slice(150).map(readToEnd))
  assert.ok(answers.some((answer) => answer.includes('"code":"http.overloaded"')))
  const { server } = t.app.http
  await eventually(
    'the unread ones are disconnected',
    () => new Promise<boolean>((resolve) => server.getConnections((_error, count) => resolve(count === 0))),
  )
  for (const socket of unread) socket.destroy()
  const whole = await fetch(`http://127.0.0.1:${port}/redoc/redoc.js`)
  assert.equal(whole.status, 200)
  assert.ok((await whole.text()).length > 1_000_000)
})
