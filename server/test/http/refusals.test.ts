import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { createAccessTokens } from '../../src/identity/access-token.ts'
import { openTestSession, type Reply, secretKey, startTestApp, type TestApp } from '../harness.ts'
import { recordedEvents } from '../recorded-events.ts'

const keys = '/api/v1/api-keys'
const nobodysId = '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a60'
let t: TestApp
before(async () => {
  t = await startTestApp({ environment: { BODY_LIMIT_BYTES: '2048' } })
})
after(() => t.stop())

function assertProblem(reply: Reply, status: number, code: string): void {
  assert.equal(reply.status, status, reply.text)
  assert.equal(reply.headers['content-type'], 'application/problem+json; charset=utf-8')
  const { title, detail, request_id } = reply.body
  assert.equal(reply.body.type, 'about:blank')
  assert.equal(reply.body.status, status)
  assert.equal(reply.body.code, code)
  assert.ok(typeof title === 'string' && title !== '')
  assert.match(detail, /^\S.*$/, 'one sentence')
  assert.equal(reply.headers['x-request-id'], request_id)
}

describe('404 and 405', () => {
  for (const path of [
    '/nothing',
    '/api',
    '/api/v1',
    '/api/v1/',
    '/api/v2/requests',
    '//api/v1/requests',
    '/health/x',
    '/docs/static/nothing.js',
    '/docs/static/../../package.json',
    '/docs/static/%2e%2e/%2e%2e/package.json',
    `/${'long/'.repeat(500)}`,
  ]) {
    test(`404 GET ${path.slice(0, 50)}`, async () => assertProblem(await t.call('GET', path), 404, 'http.not_found'))
  }

  test('the root address has a page for people, not a redirect', async () => {
    const reply = await t.call('GET', '/')
    assert.equal(reply.status, 200)
    assert.match(String(reply.headers['content-type']), /^text\/html/)
  })

  test('404, not 405, for every method on an unknown path', async () => {
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND', 'TRACE']) {
      assertProblem(await t.call(method, '/nothing'), 404, 'http.not_found')
    }
  })

  for (const [method, path, allow] of [
    ['DELETE', '/api/v1/requests', ['GET', 'HEAD', 'POST']],
    ['PUT', '/api/v1/requests/', ['GET', 'HEAD', 'POST']],
    ['PUT', `${keys}/${nobodysId}`, ['GET', 'HEAD', 'PATCH']],
    ['DELETE', `${keys}/${nobodysId}/?x=1`, ['GET', 'HEAD', 'PATCH']],
    ['GET', '/api/v1/auth/login', ['POST']],
    ['HEAD', '/api/v1/auth/register', ['POST']],
    ['POST', '/api/v1/auth/me', ['GET', 'HEAD']],
    ['POST', '/health', ['GET', 'HEAD']],
    ['PROPFIND', keys, ['GET', 'HEAD', 'POST']],
    ['POST', '/openapi.json', ['GET', 'HEAD']],
  ] as const) {
    test(`405 ${method} ${path}, and Allow lists the allowed methods`, async () => {
      const reply = await t.call(method, path)
      assert.equal(reply.status, 405)
      assert.deepEqual(String(reply.headers.allow).split(', ').sort(), allow)
      if (method !== 'HEAD') assertProblem(reply, 405, 'http.method_not_allowed')
    })
  }
})

test('a trailing slash changes nothing on any path of the document, and nothing is redirected', async (context) => {
  // An installation of its own, and a session per call: some calls end sessions.
  const t = await startTestApp()
  context.after(() => t.stop())
  const tokens = createAccessTokens(secretKey, 30)
  const admin = async () => {
    const { organizationId, admin } = t
    const sessionId = await openTestSession(t.sql, organizationId, admin.id)
    return (await tokens.sign({ organizationId, userId: admin.id, sessionId }, t.clock.now())).token
  }
  const { paths } = (await t.call('GET', '/openapi.json')).body
  const operations = Object.entries(paths as Record<string, Record<string, unknown>>).flatMap(([template, methods]) =>
    Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path: template.replace('{id}', nobodysId) })),
  )
  assert.ok(operations.length >= 15)
  for (const { method, path } of operations) {
    for (const credential of [admin, async () => t.apiKey]) {
      const replies = []
      for (const spelled of [path, `${path}/`, `${path}/?`]) {
        const reply = await t.call(method, spelled, { as: await credential() })
        replies.push(reply.status)
      }
      assert.equal(new Set(replies).size, 1, `${method} ${path}: ${replies}`)
      assert.ok(![301, 302, 307, 308, 404].includes(replies[0] ?? 0) || path.includes(nobodysId), `${path}: ${replies}`)
    }
  }
})

describe('addresses that cannot be read', () => {
  for (const path of ['/%zz', '/%', `${keys}/%E0%A4%A`, `/api/v1/%ff`, `${keys}/%ED%A0%80`]) {
    test(`400 ${path}`, async () =>
      assertProblem(await t.call('GET', path, { as: t.admin.token }), 400, 'http.bad_request'))
  }

  test('an odd query does not fail', async () => {
    const many = Array.from({ length: 1_000 }, (_, index) => `a${index}=1&`).join('')
    const get = (query: string) => t.call('GET', `/api/v1/auth/me${query}`, { as: t.admin.token })
    for (const query of ['?', '?&&']) assert.equal((await get(query)).status, 200, query)
    for (const query of ['?a=%00', '?limit', '?=', '?a=b=c', `?${many}`]) {
      assertProblem(await get(query), 422, 'request.invalid')
    }
  })
})

describe('bodies', () => {
  const post = (payload: string | Buffer, headers: Readonly<Record<string, string>> = {}) =>
    t.call('POST', keys, { as: t.admin.token, payload, headers: { 'content-type': 'application/json', ...headers } })
  const rows = async (): Promise<number> => (await t.sql('select from api_keys')).length

  for (const [status, code, what, send] of [
    [
      413,
      'http.body_too_large',
      'larger than BODY_LIMIT_BYTES',
      () => post(JSON.stringify({ name: 'x', pad: 'x'.repeat(2_048) })),
    ],
    [400, 'json.malformed', 'not JSON', () => post('{"name":}')],
    [400, 'json.malformed', 'two values', () => post('{"name":"a"}{"name":"b"}')],
    [400, 'json.malformed', 'single quotes', () => post("{'name':'a'}")],
    [400, 'json.malformed', 'not UTF-8', () => post(Buffer.from('{"name":"\xe4"}', 'latin1'))],
    [
      400,
      'json.malformed',
      'an encoded surrogate',
      () => post(Buffer.from([...Buffer.from('{"name":"'), 0xed, 0xa0, 0x80, ...Buffer.from('"}')])),
    ],
    [400, 'json.malformed', 'UTF-16', () => post(Buffer.from('\ufeff{"name":"a"}', 'utf16le'))],
    [400, 'json.empty', 'empty', () => post('')],
    [422, 'request.invalid', 'a name twice', () => post('{"name":"a","name":"b"}')],
    [422, 'request.invalid', 'a NUL character', () => post('{"name":"a\\u0000"}')],
    [422, 'request.invalid', 'half a surrogate pair', () => post('{"name":"\\ud83d"}')],
    [422, 'request.invalid', 'a number that no double holds', () => post('{"name":"a","x":12345678901234567890}')],
    [422, 'request.invalid', 'too deep', () => post(`{"name":"a","x":${'['.repeat(600)}${']'.repeat(600)}}`)],
    [415, 'http.content_encoding', 'gzip', () => post(gzipSync('{"name":"a"}'), { 'content-encoding': 'gzip' })],
    [415, 'http.content_encoding', 'an encoding nobody knows', () => post('{"name":"a"}', { 'content-encoding': 'x' })],
    [415, 'http.media_type', 'text', () => post('{"name":"a"}', { 'content-type': 'text/plain' })],
    [415, 'http.media_type', 'a form', () => post('name=a', { 'content-type': 'application/x-www-form-urlencoded' })],
    [
      415,
      'http.media_type',
      'a content type that only begins like JSON',
      () => post('{"name":"a"}', { 'content-type': 'application/json-seq' }),
    ],
    [415, 'http.media_type', 'no content type', () => post('{"name":"a"}', { 'content-type': '' })],
  ] as const) {
    test(`${status} ${code}: ${what}; nothing is made`, async () => {
      const before = await rows()
      assertProblem(await send(), status, code)
      assert.equal(await rows(), before)
    })
  }

  test('201 for each spelling of the JSON content type', async () => {
    for (const contentType of [
      'application/json',
      'Application/JSON; charset=utf-8',
      'application/json;charset=UTF-8',
      'application/merge-patch+json',
    ]) {
      assert.equal((await post('{"name":"a"}', { 'content-type': contentType })).status, 201, contentType)
    }
    assert.equal((await post('{"name":"a"}', { 'content-encoding': 'identity' })).status, 201)
  })

  test('credentials are checked before the body is read', async () => {
    const reply = await t.call('POST', keys, { payload: '{"broken', headers: { 'content-type': 'application/json' } })
    assert.equal(reply.status, 401)
  })
})

describe('x-request-id', () => {
  test('the caller’s value is used if it is harmless, and is in the error body', async () => {
    for (const id of ['abc', 'a'.repeat(128), '0af7651916cd43dd-8448.eb:1_x']) {
      const good = await t.call('GET', '/health', { headers: { 'x-request-id': id } })
      assert.equal(good.headers['x-request-id'], id)
      const bad = await t.call('GET', '/nothing', { headers: { 'x-request-id': id } })
      assert.equal(bad.headers['x-request-id'], id)
      assert.equal(bad.body.request_id, id)
    }
  })

  test('a new one is made if there is none, or if it could harm a log', async () => {
    const seen = new Set<string>()
    for (const id of ['', 'a'.repeat(129), 'two words', '<script>', '{"a":1}', 'é', undefined]) {
      const reply = await t.call('GET', '/nothing', id === undefined ? {} : { headers: { 'x-request-id': id } })
      const given = String(reply.headers['x-request-id'])
      assert.match(given, /^[0-9a-f-]{36}$/)
      assert.equal(reply.body.request_id, given)
      seen.add(given)
    }
    assert.equal(seen.size, 7)
  })

  test('is in the event of what the call changed', async () => {
    const headers = { 'x-request-id': 'trace-me-4711' }
    const reply = await t.call('POST', keys, { as: t.admin.token, body: { name: 'traced' }, headers })
    const [event] = await recordedEvents(t.sql, { subject: reply.body.id })
    assert.equal(event?.http_request_id, 'trace-me-4711')
  })
})
