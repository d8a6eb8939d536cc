import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import { WebSocket } from 'ws'
import { samplePassword, sampleReviewer } from '../../src/seed.ts'
import { eventually } from '../eventually.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { addOrganization } from '../people-and-keys.ts'
import { openStream } from './sse.ts'

const site = 'http://hitl.example.com'

let t: TestApp
let port: number
before(async () => {
  t = await startTestApp({
    workers: true,
    clock: { now: () => new Date(), advance: () => assert.fail('time goes on by itself') },
    environment: { PUBLIC_URL: site, RATE_LIMIT_PERSON: 'off', RATE_LIMIT_ADDRESS: 'off' },
  })
  await t.app.http.listen({ port: 0, host: '127.0.0.1' })
  port = (t.app.http.server.address() as AddressInfo).port
})
after(() => t.stop())

interface Told {
  readonly id: string | null
  readonly event: string
  readonly data: Record<string, unknown>
}

function open({ as = t.reviewer.token, query = '', headers = {} } = {}) {
  const all = { ...(as === '' ? {} : { authorization: `Bearer ${as}` }), ...headers }
  const socket = new WebSocket(`ws://127.0.0.1:${port}/api/v1/ws${query}`, { headers: all })
  const told: Told[] = []
  socket.on('message', (data) => told.push(JSON.parse(String(data))))
  const closed = once(socket, 'close').then(([code]) => code as number)
  const come = (event: string, fits: (one: Told) => boolean = () => true) =>
    eventually(event, () => told.find((one) => one.event === event && fits(one)) ?? null)
  return { socket, told, closed, come }
}

/** The status of a handshake that is refused, and the code of its problem. */
async function refused(options: Parameters<typeof open>[0]) {
  const { socket } = open(options)
  const [, reply] = await once(
    socket.on('error', () => {}),
    'unexpected-response',
  )
  return [reply.statusCode, JSON.parse(await text(reply)).code]
}

describe('the inbox over a WebSocket', () => {
  test('tells what the stream tells, and goes on after the last id', async () => {
    const stream = await openStream(`http://127.0.0.1:${port}/api/v1/stream`, t.reviewer.token)
    const first = open()
    assert.deepEqual((await first.come('reset')).data, { reason: 'new' })
    await first.come('counts')
    const made = await t.createRequest()
    const { id, data } = await first.come('request.new')
    assert.equal(data.id, made.id)
    const event = await eventually('the stream tells it too', () => stream.events.find((one) => one.id === id) ?? null)
    assert.deepEqual(JSON.parse(event.data), data)
    stream.close()
    first.socket.close()
    await first.closed
    const missed = await t.createRequest()
    const second = open({ query: `?last_event_id=${id}` })
    const { data: next } = await second.come('request.new')
    assert.equal(next.id, missed.id)
    assert.equal(second.told.filter(({ event: name }) => name === 'reset').length, 0)
    second.socket.close()
  })

  test('another organization hears nothing of it', async () => {
    const other = await addOrganization(t)
    const [own, others] = [open(), open({ as: other.admin.token })]
    await Promise.all([own.come('reset'), others.come('reset')])
    await t.createRequest()
    await own.come('request.new')
    const { told } = others
    assert.deepEqual(
      told.filter(({ event }) => event.startsWith('request.')),
      [],
    )
    own.socket.close()
    others.socket.close()
  })

  test('who sends anything is disconnected, with 1003; who sends much, with 1009', async () => {
    const one = open()
    await one.come('reset')
    one.socket.send('hello')
    assert.equal(await one.closed, 1003)
    const two = open()
    await two.come('reset')
    two.socket.send('x'.repeat(2_000))
    assert.equal(await two.closed, 1009)
  })

  test('closes with 1008 when the session ends', async () => {
    const body = { username: sampleReviewer, password: samplePassword }
    const { body: session } = await t.call('POST', '/api/v1/auth/login', { body })
    const { come, closed } = open({ as: session.access_token })
    await come('reset')
    await t.call('POST', '/api/v1/auth/logout', { as: session.access_token })
    assert.equal(await closed, 1008)
  })

  test('nobody, an agent, a page of another site: refused as over HTTP, before the handshake', async () => {
    assert.deepEqual(await refused({ as: '' }), [401, 'auth.missing'])
    assert.deepEqual(await refused({ as: t.apiKey }), [403, 'auth.forbidden'])
    const body = { username: sampleReviewer, password: samplePassword, session_cookie: true }
    const login = await t.call('POST', '/api/v1/auth/login', { body, headers: { origin: site } })
    const cookie = String(login.headers['set-cookie']).split(';')[0] ?? ''
    const from = (origin: string) => ({ as: '', headers: { cookie, origin } })
    assert.deepEqual(await refused(from('http://elsewhere.example')), [403, 'auth.cross_site'])
    const own = open(from(site))
    await own.come('reset')
    own.socket.close()
  })

  test('what is no WebSocket is 426; another offer of an upgrade is ignored', async () => {
    const reply = await t.call('GET', '/api/v1/ws', { as: t.reviewer.token })
    assert.deepEqual([reply.status, reply.body.code], [426, 'request.not_a_web_socket'])
    assert.equal(reply.headers.upgrade, 'websocket')
    const raw = connect(port, '127.0.0.1')
    raw.write(
      `GET /api/v1/ws HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${t.reviewer.token}\r\nConnection: Upgrade\r\n` +
        'Upgrade: websocket\r\nSec-WebSocket-Version: 8\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
    )
    const answer = await text(raw)
    assert.match(answer, /^HTTP\/1\.1 426 [\s\S]*sec-websocket-version: 13/i)
    const headers = { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', authorization: `Bearer ${t.apiKey}` }
    const call = httpRequest({
      port,
      path: '/api/v1/requests',
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
    })
    call.end('{"title":"May I?","context":{}}')
    const [made] = await once(call, 'response')
    assert.equal(made.statusCode, 201)
    made.resume()
  })

  test('places are given back, also those of handshakes that failed', async () => {
    const before = t.app.realtime.streaming()
    for (let n = 0; n < 30; n += 1) await t.call('GET', '/api/v1/ws', { as: t.reviewer.token })
    const one = open()
    await one.come('reset')
    assert.equal(t.app.realtime.streaming(), before + 1)
    one.socket.terminate()
    await eventually('its place is free', () => t.app.realtime.streaming() === before)
  })
})

describe('who looks', () => {
  const look = (requestId: string | null, as = t.reviewer.token) =>
    t.call('PUT', '/api/v1/presence', { as, body: { request_id: requestId } })

  test('others see it within a second, a new stream at once, and when they look at something else', async () => {
    const { id } = await t.createRequest()
    const watching = open({ as: t.admin.token })
    await watching.come('reset')
    assert.equal((await look(id)).status, 204)
    const at = ({ data }: Told): boolean => data.request_id === id
    const { data } = await watching.come('presence', at)
    assert.deepEqual(
      (data.people as { id: string }[]).map((one) => one.id),
      [t.reviewer.id],
    )
    const late = open({ as: t.admin.token })
    assert.deepEqual((await late.come('presence', at)).data, data)
    await look(null)
    await watching.come('presence', (one) => at(one) && (one.data.people as unknown[]).length === 0)
    watching.socket.close()
    late.socket.close()
  })

  test('not of what they may not see, and not across organizations', async () => {
    const other = await addOrganization(t)
    const { id } = await t.createRequest()
    const refusedLook = await look(id, other.admin.token)
    assert.deepEqual([refusedLook.status, refusedLook.body.code], [404, 'consultation.not_found'])
    const watching = open({ as: other.admin.token })
    await watching.come('reset')
    await look(id)
    const own = open()
    await own.come('presence')
    assert.deepEqual(
      watching.told.filter(({ event }) => event === 'presence'),
      [],
    )
    own.socket.close()
    watching.socket.close()
  })
})
