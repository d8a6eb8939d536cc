import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import { type App, createApp } from '../../src/app.ts'
import { apiKeyId } from '../../src/identity/api-keys/api-key.ts'
import { createLog } from '../../src/platform/log.ts'
import { seed } from '../../src/seed.ts'
import { cloneDatabase, createFakeClock, secretKey, testConfig } from '../harness.ts'

// From the start, because the framework warns once per process.
const warnings: string[] = []
process.on('warning', ({ name, message }) => void warnings.push(`${name}: ${message}`))

let app: App
let apiKey: string
let database: Awaited<ReturnType<typeof cloneDatabase>>
let lines: string[] = []
before(async () => {
  database = await cloneDatabase()
  // At trace, to see what libraries log too.
  const log = createLog('trace', false, { write: (line) => void lines.push(line) })
  const config = testConfig({ REGISTRATION: 'open', TRUSTED_PROXIES: '10.0.0.0/8' })
  app = await createApp({ config, secretKey, connection: database.connection, log, clock: createFakeClock() })
  apiKey = (await seed(app)).apiKey
})
after(async () => {
  await app.stop()
  await database.drop()
})

const call = async (method: string, url: string, as: string, payload?: object | string, contentType?: string) => {
  const type = contentType === undefined ? {} : { 'content-type': contentType }
  const options = { method: method as 'GET', url, headers: { authorization: as, ...type } }
  return app.http.inject(payload === undefined ? options : { ...options, payload })
}

test('no secret is in the log, at any level, whether the call was right, wrong or malformed', async () => {
  const login = '/api/v1/auth/login'
  const form = 'application/x-www-form-urlencoded'
  const secrets = [
    'password123',
    'pass-of-a-new-one',
    'pass-that-is-wrong',
    'pass-in-broken-json',
    'callback-secret-1',
    'callback-secret-2',
    secretKey,
    apiKey,
  ]
  const part = (name: string, value: string) =>
    `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
  const signedIn = await call('POST', login, '', 'username=admin@example.com&password=password123', form)
  assert.equal(signedIn.statusCode, 200)
  const token = `Bearer ${signedIn.json().access_token}`
  secrets.push(signedIn.json().access_token)
  const statuses: number[] = []
  const made: string[] = []
  for (const [method, url, as, payload, contentType] of [
    ['POST', login, 'Basic YWRtaW46cGFzc3dvcmQxMjM=', 'username=admin@example.com&password=pass-that-is-wrong', form],
    [
      'POST',
      login,
      token,
      `${part('username', 'admin@example.com')}${part('password', 'password123')}--b--\r\n`,
      'multipart/form-data; boundary=b',
    ],
    ['POST', login, token, part('password', 'password123'), 'multipart/form-data; boundary=b'],
    ['POST', login, '', '{"username":"admin@example.com","password":"pass-in-broken-json"', 'application/json'],
    ['POST', login, '', { username: 'admin@example.com', password: ['password123'] }],
    ['POST', `${login}?password=password123`, '', { password: 'password123' }],
    ['GET', `/nothing/password123?token=${apiKey}`, token],
    ['GET', `/%zz?password=password123&key=${apiKey}`, token],
    ['POST', '/api/v1/auth/register', '', { email: 'new@example.com', password: 'pass-of-a-new-one' }],
    ['POST', '/api/v1/auth/register', '', { email: 'new@example.com', password: 'pass-of-a-new-one' }],
    ['POST', '/api/v1/auth/register', '', { email: 5, password: 'pass-of-a-new-one', invitation: apiKey }],
    ['GET', '/api/v1/auth/me', token],
    ['GET', '/api/v1/auth/me', `${token}x`],
    ['GET', '/api/v1/auth/me', `Bearer ${apiKey}`],
    ['GET', '/api/v1/requests', `Bearer ${apiKey}0`],
    ['POST', '/api/v1/invitations', token, {}],
    ['POST', '/api/v1/api-keys', token, { name: 'made' }],
    [
      'POST',
      '/api/v1/requests',
      `Bearer ${apiKey}`,
      { title: 't', context: {}, callback_webhook: 'http://127.0.0.1:9/', callback_secret: 'callback-secret-1' },
    ],
    ['POST', '/api/v1/requests', `Bearer ${apiKey}`, { title: '', context: {}, callback_secret: 'callback-secret-2' }],
    ['POST', '/api/v1/requests', `Bearer ${apiKey}`, '{"callback_secret":"callback-secret-2', 'application/json'],
  ] as const) {
    const reply = await call(method, url, as, payload, contentType)
    statuses.push(reply.statusCode)
    if (reply.statusCode === 201 && /"(key|token)"/.test(reply.body)) made.push(reply.json().key ?? reply.json().token)
    assert.ok(reply.statusCode < 500, reply.body)
  }
  assert.ok(
    [200, 201, 400, 401, 403, 404, 409, 422].every((status) => statuses.includes(status)),
    `${statuses}`,
  )
  assert.equal(made.length, 2)
  const request = (await call('GET', '/api/v1/requests', `Bearer ${apiKey}`)).json().items[0]
  const answered = await call('POST', `/api/v1/requests/${request.id}/respond`, token, { decision: 'approve' })
  assert.equal(answered.statusCode, 200)
  await app.drain()

  const log = lines.join('')
  assert.ok(lines.length > statuses.length, 'every call left a line')
  for (const secret of [...secrets, ...made]) {
    assert.ok(!log.includes(secret), `${secret} is in ${lines.find((line) => line.includes(secret))}`)
  }
  assert.doesNotMatch(log, /\$2[aby]\$|YWRtaW46cGFzc3dvcmQxMjM/)
})

describe('each answered call leaves one line', () => {
  const answered = () => lines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'answered')

  test('with request_id, method, route, status and time; the route, never the address', async () => {
    lines = []
    const url = '/api/v1/api-keys/01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a60?x=private'
    const reply = await app.http.inject({ url, headers: { 'x-request-id': 'find-me' } })
    const [line, ...more] = answered()
    assert.equal(more.length, 0)
    const { request_id, method, route, status, ms, level } = line
    assert.deepEqual(
      { request_id, method, route, status, level },
      { request_id: 'find-me', method: 'GET', route: '/api/v1/api-keys/:id', status: reply.statusCode, level: 'info' },
    )
    assert.ok(ms >= 0)
    assert.doesNotMatch(lines.join(''), /private/)
  })

  test('with the address of the client; X-Forwarded-For only counts from a trusted proxy', async () => {
    for (const [ip, remoteAddress] of [
      ['203.0.113.7', '10.1.2.3'],
      ['192.0.2.1', '192.0.2.1'],
    ] as const) {
      lines = []
      const headers = { 'x-forwarded-for': '198.51.100.1, 203.0.113.7' }
      await app.http.inject({ url: '/livez', remoteAddress, headers })
      assert.deepEqual(
        answered().map((line) => line.ip),
        [ip],
      )
    }
  })

  test('with the caller, even if the call was refused; without if the caller is unknown', async () => {
    const key = `Bearer ${apiKey}`
    const payload = new URLSearchParams({ username: 'admin@example.com', password: 'password123' })
    const signedIn = await call('POST', '/api/v1/auth/login', '', String(payload), 'application/x-www-form-urlencoded')
    const { access_token: token, user } = signedIn.json()
    const apiKeys = (await call('GET', '/api/v1/api-keys', `Bearer ${token}`)).json()
    const sample = apiKeys.find(({ id }: { id: string }) => id === apiKeyId(apiKey))
    lines = []
    await call('GET', '/api/v1/requests', key)
    await call('GET', '/api/v1/auth/me', key)
    await call('GET', '/api/v1/auth/me', `Bearer ${token}`)
    await call('GET', '/api/v1/auth/me', 'Bearer nobody')
    assert.deepEqual(
      answered().map(({ status, actor_kind, actor_id }) => [status, actor_kind, actor_id]),
      [
        [200, 'agent', sample.agent_id],
        [403, 'agent', sample.agent_id],
        [200, 'person', user.id],
        [401, undefined, undefined],
      ],
    )
  })

  test('a refusal before routing is logged with its request_id too', async () => {
    lines = []
    const reply = await app.http.inject({ url: '/%zz' })
    assert.ok(lines.some((line) => line.includes(reply.json().request_id)))
  })
})

test('starting and serving calls prints no warning', () => assert.deepEqual(warnings, []))

test('a 500 from the database is logged without the row that caused it', async () => {
  // As the owner, because the role of the service may not change a table.
  const owner = new pg.Client(database.connection)
  await owner.connect()
  await owner.query("alter table users add constraint no_boom check (name <> 'boom')")
  await owner.end()
  lines = []
  const body = { email: 'boom@example.com', password: 'a password of mine', name: 'boom' }
  const reply = await call('POST', '/api/v1/auth/register', '', body)
  assert.equal(reply.statusCode, 500)
  const log = lines.join('')
  assert.match(log, /no_boom/)
  assert.doesNotMatch(log, /\$2[aby]\$|boom@example\.com|Failing row/)
  assert.doesNotMatch(reply.body, /no_boom|users|constraint/)
})

test('a probe of the health is a debug line, any other call an info line', async () => {
  lines = []
  for (const path of ['/livez', '/readyz', '/health', '/api/v1/livez', '/api/v1/requests']) {
    await app.http.inject({ url: path })
  }
  const answered = lines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'answered')
  assert.deepEqual(
    answered.map(({ level, route }) => [level, route]),
    [
      ['debug', '/livez'],
      ['debug', '/readyz'],
      ['debug', '/health'],
      ['debug', '/api/v1/livez'],
      ['info', '/api/v1/requests'],
    ],
  )
})
