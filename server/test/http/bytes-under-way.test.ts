import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { createByteBudget } from '../../src/platform/limits/byte-budget.ts'
import { eventually } from '../eventually.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { addApiKey } from '../people-and-keys.ts'
import { listening, rawConnections, readToEnd } from './listening.ts'

let t: TestApp
let port: number
before(async () => {
  t = await startTestApp({
    environment: { REQUEST_TIMEOUT_SECONDS: '3', TRUSTED_PROXIES: '127.0.0.1', BODY_LIMIT_BYTES: '8388608' },
  })
  port = await listening(t.app.http)
})
after(() => t.stop())

const { begin, endAll } = rawConnections(() => port)

const head = (method: string, path: string, headers: Readonly<Record<string, string | number>>): string =>
  `${method} ${path} HTTP/1.1\r\nHost: x\r\n${Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}\r\n`

/** A log-in whose body does not end. */
const unfinished = (network: string): string =>
  `${head('POST', '/api/v1/auth/login', { 'content-type': 'application/json', 'content-length': 16_000, 'x-forwarded-for': network })}{"username":`

describe('a budget of bytes', () => {
  test('gives one holder half, two a third each, and a piece of any size to a holder that is alone', () => {
    const budget = createByteBudget(1_000)
    const taken = (holder: string): number => {
      let count = 0
      while (budget.take(holder, 10)) count += 1
      return count * 10
    }
    assert.equal(taken('a'), 500)
    assert.equal(taken('b'), 250)
    assert.ok(createByteBudget(1_000).take('a', 5_000))
  })

  test('shares what one holder may have among its members in the same way', () => {
    const budget = createByteBudget(1_000)
    const taken = (member: string): number => {
      let count = 0
      while (budget.take('a', 10, member)) count += 1
      return count * 10
    }
    assert.deepEqual([taken('x'), taken('y')], [250, 120])
    assert.ok(budget.take('a', 100, 'z'))
    assert.ok(budget.take('b', 100, 'x'))
    budget.giveBack('a', 250, 'x')
    assert.ok(budget.take('a', 100, 'x'))
  })

  test('is overdrawn for what cannot be refused any more, up to the double, and then refuses everybody', () => {
    const budget = createByteBudget(100)
    assert.ok(budget.take('a', 10))
    assert.ok(budget.overdraw('a', 150))
    assert.equal(budget.take('a', 1), false)
    assert.equal(budget.take('b', 1), false)
    assert.equal(budget.overdraw('b', 50), false)
    budget.giveBack('a', 150)
    assert.ok(budget.take('b', 50))
  })

  test('has room again once bytes are given back', () => {
    const budget = createByteBudget(100)
    assert.ok(budget.take('a', 50))
    assert.equal(budget.take('a', 10), false)
    budget.giveBack('a', 50)
    assert.ok(budget.take('a', 50))
    assert.deepEqual([budget.room('a'), budget.room('b')], [0, 50])
  })
})

test('unfinished bodies of strangers are refused beyond a few megabytes, while strangers elsewhere sign in', async () => {
  // 4 MiB of one network are 262 such bodies.
  const sockets = await Promise.all(Array.from({ length: 300 }, () => begin(unfinished('192.0.2.1'))))
  const refused = sockets.slice(270).map(readToEnd)
  const answers = await Promise.all(refused)
  for (const answer of answers) {
    assert.match(answer, /^HTTP\/1\.1 503 /)
    assert.match(answer, /"code":"http.overloaded"/)
    assert.match(answer, /retry-after: 1/i)
  }
  const elsewhere = await fetch(`http://127.0.0.1:${port}/api/v1/auth/login`, {
    method: 'POST',
    headers: { 'x-forwarded-for': '198.51.100.1', 'content-type': 'application/json' },
    body: JSON.stringify({ username: 'reviewer@example.com', password: 'password123' }).padEnd(10_000),
  })
  assert.equal(elsewhere.status, 200)
  for (const socket of sockets) socket.destroy()
  await eventually('there is room again', async () => {
    const [socket] = await Promise.all([begin(unfinished('192.0.2.1'))])
    const answer = await readToEnd(socket)
    return answer.startsWith('HTTP/1.1 408')
  })
})

test('the networks of one IPv6 /48 hold no more together than one network', async () => {
  const sockets = await Promise.all(
    Array.from({ length: 300 }, (_, n) => begin(unfinished(`2001:db8:1:${n.toString(16)}::1`))),
  )
  for (const answer of await Promise.all(sockets.slice(270).map(readToEnd))) assert.match(answer, /^HTTP\/1\.1 503 /)
  for (const socket of sockets) socket.destroy()
})

describe('a body of unannounced length', () => {
  const asAgent = () => ({
    authorization: `Bearer ${t.apiKey}`,
    'content-type': 'application/json',
    'transfer-encoding': 'chunked',
  })
  const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`

  test('weighs what has come of it: a hundred small ones at once are accepted', async () => {
    const sockets = await Promise.all(
      Array.from({ length: 100 }, () => begin(head('POST', '/api/v1/requests', asAgent()) + chunk('{"title":"x",'))),
    )
    const answers = sockets.map(async (socket) => {
      const [first] = (await once(socket, 'data')) as [Buffer]
      return first.toString().slice(0, 12)
    })
    for (const socket of sockets) socket.write(`${chunk('"context":{}}')}0\r\n\r\n`)
    assert.deepEqual(new Set(await Promise.all(answers)), new Set(['HTTP/1.1 201']))
    for (const socket of sockets) socket.destroy()
  })

  test('whose caller hangs up ends quietly: before it is read, while it is read, and after a refusal', async () => {
    const unknown = { ...asAgent(), authorization: 'Bearer x' }
    const begun = [
      head('POST', '/api/v1/requests', asAgent()),
      head('POST', '/api/v1/requests', asAgent()) + chunk('{"title":'),
      head('POST', '/api/v1/requests', unknown) + chunk('{"title":'),
      head('POST', '/api/v1/nothing', asAgent()) + chunk('{"title":'),
    ]
    for (const text of [...begun, ...begun, ...begun]) {
      const socket = await begin(text)
      socket.resetAndDestroy()
      await once(socket, 'close')
    }
    const tooLarge = chunk('x'.repeat(1_024)).repeat(30)
    const socket = await begin(head('POST', '/api/v1/auth/login', { ...asAgent(), authorization: '' }) + tooLarge)
    const [reply] = (await once(socket, 'data')) as [Buffer]
    assert.match(reply.toString(), /^HTTP\/1\.1 413 /)
    socket.resetAndDestroy()
    // An error that nobody listens to would have ended this process.
    assert.equal((await t.call('GET', '/api/v1/health')).status, 200)
  })

  test('is refused once all that have come are more than one agent may hold, and others of its organization are served', async () => {
    const piece = chunk('x'.repeat(60_000))
    const start = `${head('POST', '/api/v1/requests', asAgent())}${chunk('{"title":"')}`
    // One organization may hold 12 MiB, and one agent half of that.
    const sockets = await Promise.all(Array.from({ length: 40 }, () => begin(start + piece.repeat(8))))
    const refused = await Promise.any(sockets.map(readToEnd))
    assert.match(refused, /^HTTP\/1\.1 503 /)
    assert.match(refused, /"code":"http.overloaded"/)
    const sibling = await fetch(`http://127.0.0.1:${port}/api/v1/requests`, {
      method: 'POST',
      headers: { authorization: `Bearer ${(await addApiKey(t)).raw}`, 'content-type': 'application/json' },
      body: JSON.stringify({ title: 'x', context: { large: 'x'.repeat(1_000_000) } }),
    })
    assert.equal(sibling.status, 201)
    for (const socket of sockets) socket.destroy()
    await eventually('there is room again', async () => {
      const reply = await t.call('POST', '/api/v1/requests', {
        as: t.apiKey,
        body: { title: 'x', context: { large: 'x'.repeat(1_000_000) } },
      })
      return reply.status === 201
    })
  })
})

test('an act that is done gets its reply, and one that has no room for a reply is not done', async () => {
  // More than the buffers of a connection take.
  const context = { large: 'x'.repeat(6_000_000) }
  const ids: string[] = []
  for (let made = 0; made < 12; made += 1) ids.push((await t.createRequest({ context })).id)
  const body = '{"decision":"approve"}'
  const headers = { authorization: `Bearer ${t.admin.token}`, 'content-type': 'application/json' }
  /** The statuses of answers whose replies nobody reads. */
  const respond = async (some: readonly string[]): Promise<readonly string[]> => {
    const sent = { ...headers, 'content-length': body.length }
    const sockets = await Promise.all(
      some.map((id) => begin(head('POST', `/api/v1/requests/${id}/respond`, sent) + body)),
    )
    await eventually('all have the beginning of their reply', () => sockets.every((one) => one.readableLength > 0))
    return sockets.map((socket) => String(socket.read(12)).slice(9))
  }
  // Together far more than one caller may hold.
  const first = await respond(ids.slice(0, 8))
  // Refused, as long as those before are not cut off.
  const statuses = [...first, ...(await respond(ids.slice(8)))]
  endAll()
  assert.deepEqual(new Set(first), new Set(['200']))
  const rows = await t.sql('select id, state from consultation_requests where id = any($1)', [ids])
  const states = new Map(rows.map(({ id, state }) => [id, state]))
  assert.deepEqual(
    ids.map((id) => states.get(id)),
    statuses.map((status) => (status === '200' ? 'responded' : 'pending')),
  )
})

describe('replies that nobody reads', () => {
  /** More than the buffers of a connection take. */
  const large = 'x'.repeat(6_000_000)
  let path: string
  before(async () => {
    const { id } = await t.createRequest({ context: { large } })
    path = `/api/v1/requests/${id}`
  })

  test('are refused beyond what one caller may hold, others of its organization get theirs, and they end when their reader takes nothing', async () => {
    const text = head('GET', path, { authorization: `Bearer ${t.admin.token}` })
    const sockets = await Promise.all(Array.from({ length: 12 }, () => begin(text)))
    await eventually('all have got the beginning of their reply', () => sockets.every((one) => one.readableLength > 0))
    assert.equal((await t.call('GET', path, { as: t.reviewer.token })).status, 200)
    await eventually('the readers that took nothing are gone, so there is room again', async () => {
      const { body, status } = await t.call('GET', path, { as: t.admin.token })
      return status === 200 && body.context.large === large
    })
    const beginnings = sockets.map((socket) => String(socket.read()).slice(0, 12))
    // Of 32 MiB, an organization may hold half, and one of its callers half of that.
    assert.equal(beginnings.filter((answer) => answer === 'HTTP/1.1 200').length, 1)
    assert.equal(beginnings.filter((answer) => answer === 'HTTP/1.1 503').length, 11)
  })
})
