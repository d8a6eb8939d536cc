import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { PostResult } from '../../src/outbound/attempt.ts'
import { createTransport, type Transport, type TransportOptions } from '../../src/outbound/transport.ts'
import { createAuthority, selfSigned } from '../certificates.ts'
import { freePort, startRawReceiver, startReceiver } from '../receivers.ts'
import { rulesAllowing } from './target-rules.ts'

const loopback = rulesAllowing('127.0.0.0/8', 'localhost')
const shortMs = 300

/** A transport that may reach loopback, resolves every name to 127.0.0.1 and is closed after the test. */
function transportFor(t: TestContext, options: Partial<TransportOptions> = {}): Transport {
  const transport = createTransport({
    rules: loopback,
    timeoutMs: 5_000,
    resolve: async () => ['127.0.0.1'],
    ...options,
  })
  t.after(() => transport.close())
  return transport
}

async function httpReceiver(t: TestContext, ...options: Parameters<typeof startReceiver>) {
  const receiver = await startReceiver(...options)
  t.after(() => receiver.close())
  return receiver
}

/** A TCP server that does `act` when the request head of each connection arrives. */
async function rawReceiver(t: TestContext, act: (socket: Socket, connection: number) => void) {
  const receiver = await startRawReceiver((socket, connection) => socket.once('data', () => act(socket, connection)))
  t.after(() => receiver.close())
  return receiver
}

/** Posts with a secret in the URL, a header and the body; no error message may repeat it. */
async function post(
  transport: Transport,
  origin: string,
  body = '{"s3cret":true}',
  owner = 'an organization',
): Promise<PostResult> {
  const headers = { 'content-type': 'application/json', 'x-webhook-signature': 'sha256=s3cret' }
  const result = await transport.post({ owner, url: `${origin}/hook?token=s3cret`, headers, body })
  assert.doesNotMatch(result.error?.message ?? '', /s3cret/)
  assert.match(result.error?.message ?? 'A sentence.', /^[A-Z].*\.$/s)
  return result
}

function assertDeadline(result: PostResult): void {
  assert.equal(result.error?.code, 'timeout')
  assert.ok(result.durationMs >= shortMs - 5, `too early: ${result.durationMs} ms`)
  assert.ok(result.durationMs < shortMs + 700, `too late: ${result.durationMs} ms`)
}

describe('a reply', () => {
  test('200: the receiver gets the exact bytes and headers, the caller status and reply', async (t) => {
    const receiver = await httpReceiver(t, { behaviour: { status: 200, body: 'thank you: ✓' } })
    const body = '{"comment":"Grüße, 世界 😀"}'
    const result = await post(transportFor(t), receiver.url, body)
    assert.deepEqual(
      { ...result, durationMs: 0 },
      { status: 200, durationMs: 0, reply: 'thank you: ✓', retryAfterSeconds: null, error: null },
    )
    const [request] = await receiver.waitFor(1)
    assert.equal(request?.method, 'POST')
    assert.equal(request?.path, '/hook?token=s3cret')
    assert.deepEqual(request?.body, Buffer.from(body))
    assert.equal(request?.headers.host, `127.0.0.1:${receiver.port}`)
    assert.equal(request?.headers['content-length'], String(Buffer.byteLength(body)))
    assert.equal(request?.headers['content-type'], 'application/json')
    assert.equal(request?.headers['x-webhook-signature'], 'sha256=s3cret')
    assert.equal(request?.headers['accept-encoding'], 'identity')
  })

  for (const status of [201, 204, 400, 404, 410, 500, 503]) {
    test(`${status} is returned unchanged, without an error`, async (t) => {
      const receiver = await httpReceiver(t, { behaviour: { status } })
      const result = await post(transportFor(t), receiver.url)
      assert.deepEqual([result.status, result.reply, result.error], [status, '', null])
    })
  }

  test('429 with Retry-After in seconds and as a date', async (t) => {
    const receiver = await httpReceiver(t, { behaviour: { status: 429, headers: { 'retry-after': '7' } } })
    const transport = transportFor(t, { now: () => Date.UTC(2030, 0, 1, 12, 0, 0) })
    assert.equal((await post(transport, receiver.url)).retryAfterSeconds, 7)
    receiver.behave({ status: 429, headers: { 'retry-after': 'Tue, 01 Jan 2030 12:01:30 GMT' } })
    assert.equal((await post(transport, receiver.url)).retryAfterSeconds, 90)
  })

  for (const status of [300, 301, 302, 303, 304, 307, 308]) {
    test(`${status} is an error and is never followed`, async (t) => {
      const other = await httpReceiver(t)
      const receiver = await httpReceiver(t, { behaviour: { status, headers: { location: `${other.url}/s3cret` } } })
      const result = await post(transportFor(t), receiver.url)
      assert.deepEqual([result.status, result.error?.code], [status, 'redirect'])
      assert.equal(other.connections, 0)
    })
  }

  test('that is slow but in time', async (t) => {
    const receiver = await httpReceiver(t, {
      behaviour: (response) => void setTimeout(() => response.end('late'), 100),
    })
    const result = await post(transportFor(t), receiver.url)
    assert.deepEqual([result.status, result.reply], [200, 'late'])
    assert.ok(result.durationMs >= 95)
  })

  test('of HTTP/1.0, ended by closing the connection', async (t) => {
    const receiver = await rawReceiver(t, (socket) => socket.end('HTTP/1.0 200 OK\r\n\r\nold school'))
    const result = await post(transportFor(t), receiver.url)
    assert.deepEqual([result.status, result.reply, result.error], [200, 'old school', null])
  })

  describe('after informational replies (RFC 9110, 15.2)', () => {
    const final = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
    const informing = (status: number) => `HTTP/1.1 ${status} Wait\r\nlink: </a>\r\n\r\n`

    test('of any status but 101, alone and several in a row, on a connection that is kept', async (t) => {
      const statuses = Array.from({ length: 100 }, (_, at) => 100 + at).filter((status) => status !== 101)
      const heads = [...statuses.map(informing), 'HTTP/1.1 100\r\n\r\n', statuses.map(informing).join('').repeat(2)]
      let served = 0
      const receiver = await startRawReceiver((socket) =>
        socket.on('data', () => socket.write(`${heads[served++ % heads.length]}${final}`)),
      )
      t.after(() => receiver.close())
      const transport = transportFor(t)
      for (const head of [...heads, ...heads]) {
        const result = await post(transport, receiver.url)
        assert.deepEqual([result.status, result.reply, result.error], [200, 'ok', null], head.slice(0, 12))
      }
      assert.equal(receiver.connections, 1)
    })

    test('in pieces of any size', async (t) => {
      const bytes = `${informing(100)}${informing(103)}${final}`
      for (let size = 1; size < bytes.length; size += 7) {
        const receiver = await rawReceiver(t, async (socket) => {
          socket.setNoDelay(true)
          for (let at = 0; at < bytes.length; at += size) {
            socket.write(bytes.slice(at, at + size))
            await new Promise(setImmediate)
          }
        })
        const result = await post(transportFor(t), receiver.url)
        assert.deepEqual([result.status, result.reply, result.error], [200, 'ok', null], `${size} bytes`)
      }
    })

    test('without end: cut off by the time limit', async (t) => {
      const receiver = await rawReceiver(t, (socket) => {
        const more = () => {
          while (!socket.destroyed && socket.write(informing(102).repeat(100)));
        }
        socket.on('drain', more)
        more()
      })
      assertDeadline(await post(transportFor(t, { timeoutMs: shortMs }), receiver.url))
      await receiver.waitForNoConnection()
    })

    test('one that never ends is not kept: protocol', async (t) => {
      const receiver = await rawReceiver(t, (socket) =>
        socket.write(`HTTP/1.1 103 Wait\r\nx: ${'y'.repeat(1_000_000)}`),
      )
      assert.equal((await post(transportFor(t), receiver.url)).error?.code, 'protocol')
      await receiver.waitForNoConnection()
    })
  })

  test('of 1 MB counts by its status, though only its beginning is read', async (t) => {
    const receiver = await httpReceiver(t, { behaviour: { body: 'é'.repeat(500_000) } })
    const transport = transportFor(t)
    const result = await post(transport, receiver.url)
    assert.deepEqual([result.status, result.error, result.reply], [200, null, 'é'.repeat(1_000)])
    await receiver.waitForNoConnection()
  })

  test('without end is cut off: the sender can send no more than socket buffers hold', async (t) => {
    let sent = 0
    const receiver = await rawReceiver(t, (socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n')
      const chunk = Buffer.alloc(65_536, 'x')
      const pour = () => {
        while (socket.writable && sent < 100_000_000) {
          sent += chunk.length
          if (!socket.write(chunk)) return
        }
      }
      socket.on('drain', pour)
      pour()
    })
    const result = await post(transportFor(t), receiver.url)
    assert.deepEqual([result.status, result.error, result.reply], [200, null, 'x'.repeat(1_000)])
    await receiver.waitForNoConnection()
    assert.ok(sent < 20_000_000, `${sent} bytes were taken`)
  })

  test('that is compressed without being asked for: stored as it came, never unpacked', async (t) => {
    const bomb = gzipSync(Buffer.alloc(20_000_000, 'A'))
    const receiver = await httpReceiver(t, { behaviour: { headers: { 'content-encoding': 'gzip' }, body: bomb } })
    const result = await post(transportFor(t), receiver.url)
    assert.deepEqual([result.status, result.error], [200, null])
    assert.ok(result.reply.length <= 1_000 && result.reply.startsWith('\uFFFD'), result.reply.slice(0, 20))
    assert.doesNotMatch(result.reply, /AAAA|\0/)
  })
})

describe('the deadline covers', () => {
  const silent: [what: string, act: (socket: Socket) => void, status: number | null][] = [
    ['a receiver that never answers', () => {}, null],
    ['a reply that stops within its head', (socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-'), null],
    [
      'a reply that stops within its body',
      (socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart'),
      200,
    ],
    [
      'a reply that trickles without end',
      (socket) => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n')
        const trickle = setInterval(() => socket.write('.'), 10)
        socket.once('close', () => clearInterval(trickle))
      },
      200,
    ],
    [
      'headers that trickle without end',
      (socket) => {
        socket.write('HTTP/1.1 200 OK\r\n')
        const trickle = setInterval(() => socket.write('x: y\r\n'), 10)
        socket.once('close', () => clearInterval(trickle))
      },
      null,
    ],
  ]
  for (const [what, act, status] of silent) {
    test(what, async (t) => {
      const receiver = await rawReceiver(t, act)
      const result = await post(transportFor(t, { timeoutMs: shortMs }), receiver.url)
      assertDeadline(result)
      assert.equal(result.status, status)
      await receiver.waitForNoConnection()
    })
  }

  test('a name look-up that never ends', async (t) => {
    const transport = transportFor(t, { timeoutMs: shortMs, resolve: () => new Promise(() => {}) })
    assertDeadline(await post(transport, 'http://agent.example.com'))
  })

  test('a TLS handshake that never ends', async (t) => {
    const receiver = await rawReceiver(t, () => {})
    const result = await post(transportFor(t, { timeoutMs: shortMs }), `https://127.0.0.1:${receiver.port}`)
    assertDeadline(result)
    await receiver.waitForNoConnection()
  })

  test('the second try on a new connection too', async (t) => {
    const receiver = await httpReceiver(t)
    const transport = transportFor(t, { timeoutMs: shortMs })
    await post(transport, receiver.url)
    receiver.behave((response, request) => {
      if (request.connection === 1) response.destroy()
    })
    assertDeadline(await post(transport, receiver.url))
    assert.equal(receiver.connections, 2)
  })
})

describe('a receiver that breaks off or sends nonsense', () => {
  const head = 'HTTP/1.1 200 OK\r\n'
  const cases: [what: string, act: (socket: Socket) => void, code: string, status: number | null][] = [
    ['resets at once', (socket) => socket.resetAndDestroy(), 'reset', null],
    ['closes at once', (socket) => socket.end(), 'reset', null],
    ['closes within the head', (socket) => socket.end(`${head}content-le`), 'reset', null],
    ['closes within the body', (socket) => socket.end(`${head}content-length: 9\r\n\r\npart`), 'reset', 200],
    [
      'closes within the body of a last reply',
      (socket) => socket.end(`${head}connection: close\r\ncontent-length: 9\r\n\r\npart`),
      'reset',
      200,
    ],
    [
      'closes within a chunked body',
      (socket) => socket.end(`${head}connection: close\r\ntransfer-encoding: chunked\r\n\r\n9\r\npart`),
      'reset',
      200,
    ],
    ['speaks another protocol', (socket) => socket.write('SSH-2.0-OpenSSH_9.9\r\n'), 'protocol', null],
    ['speaks HTTP/9', (socket) => socket.write('HTTP/9.9 200 OK\r\n\r\n'), 'protocol', null],
    ['sends binary noise', (socket) => socket.write(Buffer.from([0, 255, 1, 254, 13, 10])), 'protocol', null],
    ['sends one huge header', (socket) => socket.write(`${head}x: ${'y'.repeat(1_000_000)}`), 'protocol', null],
    ['sends ten thousand headers', (socket) => socket.write(`${head}${'x: y\r\n'.repeat(10_000)}`), 'protocol', null],
    [
      'contradicts itself on length',
      (socket) => socket.write(`${head}content-length: 1\r\ncontent-length: 2\r\n\r\n`),
      'protocol',
      null,
    ],
    [
      'switches protocols',
      (socket) => socket.write('HTTP/1.1 101 Go\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'),
      'protocol',
      null,
    ],
  ]
  for (const [what, act, code, status] of cases) {
    test(`${what}: ${code}, and no second try`, async (t) => {
      const receiver = await rawReceiver(t, act)
      const result = await post(transportFor(t), receiver.url)
      assert.deepEqual([result.error?.code, result.status], [code, status], result.error?.message)
      await receiver.waitForNoConnection()
      assert.equal(receiver.connections, 1)
    })
  }

  test('resets within the body', async (t) => {
    const receiver = await rawReceiver(t, (socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart', () => socket.resetAndDestroy())
    })
    assert.equal((await post(transportFor(t), receiver.url)).error?.code, 'reset')
  })

  test('nothing listens: connect', async (t) => {
    const result = await post(transportFor(t), `http://127.0.0.1:${await freePort()}`)
    assert.deepEqual([result.error?.code, result.status], ['connect', null])
  })

  test('a header HTTP does not permit is an error of the result, not thrown', async (t) => {
    const receiver = await httpReceiver(t)
    const result = await transportFor(t).post({
      owner: 'an organization',
      url: receiver.url,
      headers: { 'x-a': 'b\r\nc: d' },
      body: '',
    })
    assert.equal(result.error?.code, 'protocol')
    assert.equal(receiver.requests.length, 0)
  })
})

describe('names and addresses', () => {
  test('an internal target is refused before anything is sent', async (t) => {
    const receiver = await httpReceiver(t)
    const transport = transportFor(t, { rules: rulesAllowing() })
    for (const origin of [
      receiver.url,
      `http://localhost:${receiver.port}`,
      `http://0x7f.1:${receiver.port}`,
      'ftp://example.com',
    ]) {
      assert.equal((await post(transport, origin)).error?.code, 'target_refused', origin)
    }
    assert.equal(receiver.connections, 0)
  })

  test('a public name that resolves to an internal address, plain or embedded, is refused', async (t) => {
    const receiver = await httpReceiver(t)
    for (const answer of [
      '127.0.0.1',
      '::1',
      '::ffff:127.0.0.1',
      '::ffff:7f00:1',
      '10.0.0.1',
      '169.254.169.254',
      'localhost',
      '127.1',
    ]) {
      const transport = transportFor(t, { rules: rulesAllowing(), resolve: async () => [answer] })
      const result = await post(transport, `http://agent.example.com:${receiver.port}`)
      assert.equal(result.error?.code, 'target_refused', answer)
    }
    assert.equal(receiver.connections, 0)
  })

  test('a name with one internal address among public ones is refused', async (t) => {
    const receiver = await httpReceiver(t)
    const rules = rulesAllowing('127.0.0.1')
    for (const answers of [
      ['127.0.0.1', '10.0.0.1'],
      ['10.0.0.1', '127.0.0.1'],
      ['127.0.0.1', '8.8.8.8', '::1'],
    ]) {
      const transport = transportFor(t, { rules, resolve: async () => answers })
      assert.equal((await post(transport, `http://agent.example.com:${receiver.port}`)).error?.code, 'target_refused')
    }
    assert.equal(receiver.connections, 0)
  })

  test('a name that changes after the check gains nothing: the checked address is dialled, and each connection is checked', async (t) => {
    const receiver = await httpReceiver(t)
    const answers = [['127.0.0.2'], ['127.0.0.1']]
    let asked = 0
    const transport = transportFor(t, {
      rules: rulesAllowing('127.0.0.2'),
      timeoutMs: shortMs,
      resolve: async () => answers[asked++] ?? [],
    })
    // Nothing listens on 127.0.0.2. If connecting resolved the name again, it would reach 127.0.0.1.
    const first = await post(transport, `http://agent.example.com:${receiver.port}`)
    assert.ok(['connect', 'timeout'].includes(first.error?.code ?? ''), first.error?.message)
    assert.equal(asked, 1)
    const second = await post(transport, `http://agent.example.com:${receiver.port}`)
    assert.equal(second.error?.code, 'target_refused')
    assert.equal(asked, 2)
    assert.equal(receiver.connections, 0)
  })

  test('a kept connection keeps its checked address, without another look-up', async (t) => {
    const receiver = await httpReceiver(t)
    let asked = 0
    const transport = transportFor(t, { resolve: async () => [asked++ === 0 ? '127.0.0.1' : '10.0.0.1'] })
    const origin = `http://agent.example.com:${receiver.port}`
    assert.equal((await post(transport, origin)).status, 200)
    assert.equal((await post(transport, origin)).status, 200)
    assert.deepEqual([asked, receiver.connections], [1, 1])
    assert.equal(receiver.requests[0]?.headers.host, `agent.example.com:${receiver.port}`)
  })

  test('when one address of a name is dead, another is tried', async (t) => {
    const receiver = await httpReceiver(t)
    const transport = transportFor(t, { resolve: async () => ['127.0.0.2', '127.0.0.1'] })
    assert.equal((await post(transport, `http://agent.example.com:${receiver.port}`)).status, 200)
  })

  test('a name without an address, and a look-up that fails: dns', async (t) => {
    const none = transportFor(t, { resolve: async () => [] })
    assert.equal((await post(none, 'http://agent.example.com')).error?.code, 'dns')
    const failing = transportFor(t, {
      resolve: () => Promise.reject(Object.assign(new Error('no'), { code: 'ENOTFOUND' })),
    })
    const result = await post(failing, 'http://agent.example.com')
    assert.equal(result.error?.code, 'dns')
    assert.match(result.error?.message ?? '', /agent\.example\.com.*ENOTFOUND/)
  })

  test('proxy variables are ignored', async (t) => {
    const proxy = await httpReceiver(t)
    const receiver = await httpReceiver(t)
    const names = ['HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy']
    const before = names.map((name) => process.env[name])
    for (const name of names) process.env[name] = proxy.url
    t.after(() => {
      for (const [index, name] of names.entries()) {
        const value = before[index]
        if (value === undefined) delete process.env[name]
        else process.env[name] = value
      }
    })
    assert.equal((await post(transportFor(t), receiver.url)).status, 200)
    assert.deepEqual([proxy.connections, receiver.requests.length], [0, 1])
  })
})

describe('TLS', () => {
  const authority = createAuthority()

  test('a certificate of the trusted authority for this name is accepted, and the name is sent to the server', async (t) => {
    const receiver = await httpReceiver(t, { tls: authority.issue(['localhost']) })
    const transport = transportFor(t, { ca: authority.cert })
    assert.equal((await post(transport, receiver.url)).status, 200)
    assert.equal((await post(transport, receiver.url)).status, 200)
    assert.equal(receiver.connections, 1)
    assert.equal(receiver.requests[0]?.headers.host, `localhost:${receiver.port}`)
  })

  test('a certificate for the literal address is accepted', async (t) => {
    const receiver = await httpReceiver(t, { tls: authority.issue(['127.0.0.1']) })
    const result = await post(transportFor(t, { ca: authority.cert }), `https://127.0.0.1:${receiver.port}`)
    assert.deepEqual([result.status, result.error], [200, null])
  })

  const hour = 3_600_000
  const untrusted = {
    'self-signed': selfSigned(['localhost']),
    'of an unknown authority': createAuthority('Someone Else').issue(['localhost']),
    'for another name': authority.issue(['other.example.com']),
    'for an address only': authority.issue(['127.0.0.1']),
    expired: authority.issue(['localhost'], Date.now() - hour),
  }
  for (const [what, tls] of Object.entries(untrusted)) {
    test(`a certificate that is ${what} is refused, however often it is tried`, async (t) => {
      // TLS 1.2 sends its session ticket before the name is checked; a later try must not use it.
      const receiver = await httpReceiver(t, { tls: { ...tls, maxVersion: 'TLSv1.2' } })
      const transport = transportFor(t, { ca: authority.cert })
      for (let attempt = 1; attempt <= 3; attempt += 1) {
        const result = await post(transport, receiver.url)
        assert.deepEqual([result.error?.code, result.status], ['tls', null], `attempt ${attempt}`)
      }
      assert.equal(receiver.requests.length, 0)
    })
  }

  test('NODE_TLS_REJECT_UNAUTHORIZED=0 changes nothing', async (t) => {
    const receiver = await httpReceiver(t, { tls: selfSigned(['localhost']) })
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
    t.after(() => delete process.env.NODE_TLS_REJECT_UNAUTHORIZED)
    assert.equal((await post(transportFor(t), receiver.url)).error?.code, 'tls')
    assert.equal(receiver.requests.length, 0)
  })

  test('a receiver without TLS behind an https URL: tls', async (t) => {
    const receiver = await httpReceiver(t)
    assert.equal((await post(transportFor(t), `https://127.0.0.1:${receiver.port}`)).error?.code, 'tls')
  })

  test('a receiver that hangs up during the handshake: tls', async (t) => {
    const receiver = await rawReceiver(t, (socket) => socket.end())
    assert.equal((await post(transportFor(t), `https://127.0.0.1:${receiver.port}`)).error?.code, 'tls')
  })
})

describe('connections', () => {
  const authority = createAuthority()

  test('20 posts one after another use one connection', async (t) => {
    const receiver = await httpReceiver(t)
    const transport = transportFor(t)
    for (let i = 0; i < 20; i += 1) assert.equal((await post(transport, receiver.url)).status, 200)
    assert.deepEqual([receiver.requests.length, receiver.connections], [20, 1])
  })

  test('100 posts at once use at most 64, one post at a time on each', async (t) => {
    const held: (() => void)[] = []
    const receiver = await httpReceiver(t, { behaviour: (response) => void held.push(() => response.end()) })
    const transport = transportFor(t)
    const results = Promise.all(Array.from({ length: 100 }, () => post(transport, receiver.url)))
    const first = await receiver.waitFor(64)
    assert.equal(new Set(first.map((request) => request.connection)).size, 64)
    receiver.behave({ status: 200 })
    for (const release of held) release()
    assert.ok((await results).every((result) => result.status === 200))
    assert.equal(receiver.connections, 64)
  })

  test('are shared only within an organization: none waits for the posts of another or uses its connections', async (t) => {
    const held: (() => void)[] = []
    const receiver = await httpReceiver(t, { behaviour: (response) => void held.push(() => response.end()) })
    const transport = transportFor(t)
    const hanging = Promise.all(Array.from({ length: 100 }, () => post(transport, receiver.url, '{}', 'one')))
    await receiver.waitFor(64)
    receiver.behave({ status: 200 })
    for (let count = 0; count < 2; count += 1) {
      assert.equal((await post(transport, receiver.url, '{}', 'another')).status, 200)
    }
    assert.deepEqual(
      [receiver.requests.length, receiver.connections],
      [66, 65],
      'the other one has a connection of its own',
    )
    for (const release of held) release()
    assert.ok((await hanging).every((result) => result.status === 200))
  })

  test('a kept connection that the receiver closed meanwhile is replaced', async (t) => {
    const receiver = await httpReceiver(t, {
      behaviour: (response) => response.end('ok', () => response.socket?.end()),
    })
    const transport = transportFor(t)
    assert.equal((await post(transport, receiver.url)).status, 200)
    await receiver.waitForNoConnection()
    assert.equal((await post(transport, receiver.url)).status, 200)
    assert.equal(receiver.connections, 2)
  })

  for (const scheme of ['http', 'https'] as const) {
    const tls = scheme === 'https' ? { tls: authority.issue(['localhost']) } : {}

    test(`${scheme}: when a kept connection ends during the request, it is sent once more on a new one`, async (t) => {
      const receiver = await httpReceiver(t, tls)
      const transport = transportFor(t, { ca: authority.cert })
      assert.equal((await post(transport, receiver.url)).status, 200)
      receiver.behave((response, request) => (request.connection === 1 ? response.destroy() : response.end('again')))
      const result = await post(transport, receiver.url, 'the same bytes')
      assert.deepEqual([result.status, result.reply, result.error], [200, 'again', null])
      assert.deepEqual(receiver.requests.map((request) => [request.connection, request.body.toString()]).slice(1), [
        [1, 'the same bytes'],
        [2, 'the same bytes'],
      ])
    })

    test(`${scheme}: when the new connection ends too, there is no third try`, async (t) => {
      const receiver = await httpReceiver(t, tls)
      const transport = transportFor(t, { ca: authority.cert })
      await post(transport, receiver.url)
      receiver.behave((response) => response.destroy())
      assert.equal((await post(transport, receiver.url)).error?.code, 'reset')
      assert.deepEqual([receiver.requests.length, receiver.connections], [3, 2])
    })

    test(`${scheme}: when a new connection ends during the request, it is not sent again`, async (t) => {
      const receiver = await httpReceiver(t, { ...tls, behaviour: (response) => response.destroy() })
      const result = await post(transportFor(t, { ca: authority.cert }), receiver.url)
      assert.equal(result.error?.code, 'reset')
      assert.equal(receiver.requests.length, 1)
    })
  }

  test('when a kept connection ends after the reply has begun, the request is not sent again', async (t) => {
    const receiver = await httpReceiver(t)
    const transport = transportFor(t)
    await post(transport, receiver.url)
    receiver.behave((response) => void response.socket?.end('HTTP/1.1 200 OK\r\nx-'))
    assert.equal((await post(transport, receiver.url)).error?.code, 'reset')
    assert.equal(receiver.requests.length, 2)
  })

  test('close ends posts under way with `stopped` and leaves no connection', async (t) => {
    const receiver = await httpReceiver(t, { behaviour: () => {} })
    const idle = await httpReceiver(t)
    const handshaking = await rawReceiver(t, () => {})
    const transport = transportFor(t, {
      timeoutMs: 60_000,
      resolve: (name) => (name === 'localhost' ? Promise.resolve(['127.0.0.1']) : new Promise(() => {})),
    })
    await post(transport, idle.url)
    const origins = [receiver.url, receiver.url, `https://127.0.0.1:${handshaking.port}`, 'http://agent.example.com']
    const pending = Promise.all(origins.map((origin) => post(transport, origin)))
    await receiver.waitFor(2)
    await transport.close()
    assert.deepEqual(
      (await pending).map((result) => result.error?.code),
      origins.map(() => 'stopped'),
    )
    for (const one of [receiver, idle, handshaking]) await one.waitForNoConnection()
    assert.equal((await post(transport, idle.url)).error?.code, 'stopped')
    assert.equal(idle.requests.length, 1)
  })

  test('with more origins than pools all are served, and close leaves no connection', async (t) => {
    const receiver = await httpReceiver(t)
    const transport = transportFor(t)
    for (let i = 0; i < 520; i += 1) {
      assert.equal((await post(transport, `http://agent-${i}.example.com:${receiver.port}`)).status, 200)
    }
    assert.ok(receiver.openConnections <= 500, `${receiver.openConnections} connections are open`)
    await transport.close()
    await receiver.waitForNoConnection()
  })
})
