import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { createApp } from '../../src/app.ts'
import { mintApiKey } from '../../src/identity/api-keys/api-key.ts'
import { createLog } from '../../src/platform/log.ts'
import { version } from '../../src/version.ts'
import { cloneDatabase, secretKey, startTestApp, type TestApp, testConfig } from '../harness.ts'

const paths = ['/health', '/readyz', '/livez', '/api/v1/health', '/api/v1/readyz', '/api/v1/livez']

describe('with a database', () => {
  let t: TestApp
  before(async () => {
    t = await startTestApp()
  })
  after(() => t.stop())

  for (const path of paths) {
    test(`200 ${path}, without credentials, with and without a slash, and for HEAD without a body`, async () => {
      for (const spelled of [path, `${path}/`]) {
        const get = await t.call('GET', spelled)
        assert.equal(get.status, 200)
        const head = await t.call('HEAD', spelled)
        assert.equal(head.status, 200)
        assert.equal(head.text, '')
        assert.equal(head.headers['content-length'], String(Buffer.byteLength(get.text)))
        if (path.endsWith('livez')) assert.deepEqual(get.body, { status: 'alive' })
        else {
          const checks = { database: 'ok', audit: 'ok', secrets: 'ok' }
          assert.deepEqual(get.body, { status: 'healthy', version, environment: 'test', checks })
        }
      }
    })
  }
})

/** Looking it up needs the database. */
const wellFormedKey = mintApiKey('01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a60')

/** A port that nothing listens on: one that was just released. */
async function deadPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  assert.ok(address !== null && typeof address === 'object')
  return address.port
}

describe('without a database', () => {
  const start = async () =>
    createApp({
      config: testConfig({ REGISTRATION: 'open' }),
      secretKey,
      connection: { host: '127.0.0.1', port: await deadPort(), user: 'x', password: 'x', database: 'x' },
      log: createLog('silent', false),
    })
  let app: Awaited<ReturnType<typeof start>>
  before(async () => {
    app = await start()
  })
  after(() => app.stop())

  for (const path of paths) {
    const alive = path.endsWith('livez')
    test(`${alive ? '200' : '503 unhealthy with Retry-After'}: ${path}, GET and HEAD`, async () => {
      for (const method of ['GET', 'HEAD'] as const) {
        const reply = await app.http.inject({ method, url: path })
        assert.equal(reply.statusCode, alive ? 200 : 503)
        if (alive) continue
        assert.match(String(reply.headers['retry-after']), /^\d+$/)
        if (method === 'GET') {
          const checks = { database: 'unavailable', audit: 'ok', secrets: 'ok' }
          assert.deepEqual(reply.json(), { status: 'unhealthy', version, environment: 'test', checks })
        } else assert.equal(reply.body, '')
      }
    })
  }

  test('503 with Retry-After and words for people, for calls that need the database', async () => {
    const [email, password] = ['a@example.com', 'correct horse']
    for (const call of [
      { method: 'POST', url: '/api/v1/auth/login', payload: { username: email, password } },
      { method: 'POST', url: '/api/v1/auth/register', payload: { email, password } },
      { method: 'GET', url: '/api/v1/requests', headers: { authorization: `Bearer ${wellFormedKey}` } },
    ] as const) {
      const reply = await app.http.inject(call)
      assert.equal(reply.statusCode, 503, reply.body)
      assert.match(String(reply.headers['retry-after']), /^\d+$/)
      assert.equal(reply.headers['content-type'], 'application/problem+json; charset=utf-8')
      assert.equal(reply.json().code, 'service.unavailable')
      assert.doesNotMatch(reply.body, /ECONNREFUSED|127\.0\.0\.1/)
    }
  })

  test('4xx without the database: malformed, unknown or without credentials', async () => {
    for (const [status, call] of [
      [401, { url: '/api/v1/requests' }],
      [401, { url: '/api/v1/requests', headers: { authorization: 'Bearer hitl_typo' } }],
      [404, { url: '/nothing' }],
      [422, { method: 'POST', url: '/api/v1/auth/login', payload: {} }],
    ] as const) {
      assert.equal((await app.http.inject(call as { url: string })).statusCode, status)
    }
  })
})

test('a database that does not respond costs one connection, however many checks run at once', async (context) => {
  const silent = createServer().listen(0, '127.0.0.1')
  const sockets = new Set<Socket>()
  silent.on('connection', (socket) => sockets.add(socket.on('error', () => {})))
  await once(silent, 'listening')
  const address = silent.address()
  assert.ok(address !== null && typeof address === 'object')
  const connection = { host: '127.0.0.1', port: address.port, user: 'x', password: 'x', database: 'x' }
  const app = await createApp({ config: testConfig(), secretKey, connection, log: createLog('silent', false) })
  context.after(async () => {
    for (const socket of sockets) socket.destroy()
    silent.close()
    await app.stop()
  })
  const urls = Array.from({ length: 40 }, (_, place) => (place % 2 === 0 ? '/health' : '/readyz'))
  const replies = await Promise.all(urls.map((url) => app.http.inject({ url })))
  assert.ok(replies.every((reply) => reply.statusCode === 503))
  assert.equal(sockets.size, 1)
})

test('503 when the database goes away while the service runs, which stays alive', async (context) => {
  const database = await cloneDatabase()
  const log = createLog('silent', false)
  const app = await createApp({ config: testConfig(), secretKey, connection: database.connection, log })
  context.after(() => app.stop())
  const health = async () => (await app.http.inject({ url: '/health' })).statusCode
  assert.equal(await health(), 200)
  await database.drop()
  assert.equal(await health(), 503)
  assert.equal((await app.http.inject({ url: '/livez' })).statusCode, 200)
})
