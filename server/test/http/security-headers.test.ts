import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { version } from '../../src/version.ts'
import { eventually } from '../eventually.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { listening } from './listening.ts'

const strict = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

let t: TestApp
let port: number
before(async () => {
  t = await startTestApp({
    environment: {
      PUBLIC_URL: 'https://hitl.example.com',
      CORS_ORIGINS: 'https://app.example.com',
      BODY_LIMIT_BYTES: '2048',
      REQUEST_TIMEOUT_SECONDS: '1',
      RATE_LIMIT_KEY: '2/600',
    },
  })
  port = await listening(t.app.http)
})
after(() => t.stop())

type Headers = Readonly<Record<string, unknown>>

function assertHeaders(headers: Headers, where: string, page = false): void {
  const expected = {
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'strict-transport-security': 'max-age=63072000; includeSubDomains',
  }
  for (const [name, value] of Object.entries(expected)) assert.equal(headers[name], value, `${where}: ${name}`)
  assert.match(String(headers['permissions-policy']), /camera=\(\).*geolocation=\(\)/, where)
  assert.match(String(headers['x-request-id']), /^[\w.:-]+$/, where)
  const type = String(headers['content-type'] ?? '')
  if (/^text\/|xml/.test(type)) assert.match(type, /; charset=utf-8$/i, where)
  const policy = String(headers['content-security-policy'])
  if (!page) assert.equal(policy, strict, where)
  for (const directive of ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"]) {
    assert.ok(policy.includes(directive), `${where}: ${policy}`)
  }
  assert.doesNotMatch(policy, /unsafe-eval|\*|https?:|script-src[^;]*unsafe-inline/, where)
  for (const told of ['server', 'x-powered-by', 'via', 'x-aspnet-version'])
    assert.equal(headers[told], undefined, where)
}

describe('every reply has the security headers, for any caller and any call', () => {
  test('every operation, without credentials, with a wrong one and with that of a person', async () => {
    const { paths } = (await t.call('GET', '/openapi.json')).body
    let seen = 0
    for (const [template, methods] of Object.entries(paths as Record<string, Record<string, unknown>>)) {
      for (const method of Object.keys(methods)) {
        const path = template.replace(/\{[^}]+\}/g, t.admin.id)
        for (const as of [undefined, 'not-a-token', t.reviewer.token]) {
          const reply = await t.call(method.toUpperCase(), path, as === undefined ? {} : { as })
          assertHeaders(reply.headers, `${method} ${path} ${reply.status}`)
          // Published keys are not secret.
          if (!path.startsWith('/.well-known/')) assert.equal(reply.headers['cache-control'], 'no-store', path)
          seen += 1
        }
      }
    }
    assert.ok(seen > 40, `${seen}`)
  })

  for (const page of ['/docs', '/docs/', '/redoc', '/setup', '/']) {
    test(`${page}, with the policy that this page needs`, async () => {
      const reply = await t.call('GET', page)
      assert.equal(reply.status, 200)
      assertHeaders(reply.headers, page, true)
    })
  }

  for (const asset of ['/docs/static/swagger-ui-bundle.js', '/redoc/redoc.js', '/redoc/start.js', '/openapi.json']) {
    test(asset, async () => assertHeaders((await t.call('GET', asset)).headers, asset, true))
  }

  const key = { as: '' }
  before(() => {
    key.as = t.apiKey
  })
  const json = { 'content-type': 'application/json' }
  for (const [status, what, send] of [
    [400, 'an address that cannot be read', () => t.call('GET', '/%zz')],
    [400, 'a disguised path', () => t.call('GET', '/api%2fv1/requests')],
    [400, 'a broken body', () => t.call('POST', '/api/v1/auth/login', { payload: '{', headers: json })],
    [404, 'nothing', () => t.call('GET', '/nothing')],
    [404, 'nothing, to HEAD', () => t.call('HEAD', '/nothing')],
    [405, 'another method', () => t.call('DELETE', '/health')],
    [413, 'too much', () => t.call('POST', '/api/v1/auth/login', { payload: 'x'.repeat(4_000), headers: json })],
    [
      415,
      'another type',
      () => t.call('POST', '/api/v1/auth/login', { payload: 'x', headers: { 'content-type': 'a/b' } }),
    ],
    [422, 'a parameter twice', () => t.call('GET', '/health?a=1&a=2')],
    [200, 'health', () => t.call('GET', '/health')],
    [200, 'health, to HEAD', () => t.call('HEAD', '/health')],
    [
      204,
      'a preflight',
      () =>
        t.call('OPTIONS', '/api/v1/requests', {
          headers: { origin: 'https://app.example.com', 'access-control-request-method': 'POST' },
        }),
    ],
  ] as const) {
    test(`${status} ${what}`, async () => {
      const reply = await send()
      assert.equal(reply.status, status, reply.text)
      assertHeaders(reply.headers, what)
    })
  }

  test('429 for an API key beyond its limit', async () => {
    let reply = await t.call('GET', '/api/v1/requests', key)
    for (let calls = 0; calls < 3 && reply.status !== 429; calls += 1) {
      reply = await t.call('GET', '/api/v1/requests', key)
    }
    assert.equal(reply.status, 429)
    assertHeaders(reply.headers, '429')
  })

  test('500, without a word about the cause', async (context) => {
    const broken = await startTestApp({ environment: { PUBLIC_URL: 'https://hitl.example.com' } })
    context.after(() => broken.stop())
    await broken.sql('alter table consultation_requests rename to elsewhere')
    const reply = await broken.call('GET', '/api/v1/requests', { as: broken.apiKey })
    assert.equal(reply.status, 500)
    assertHeaders(reply.headers, '500')
    assert.doesNotMatch(reply.text, /relation|consultation_requests|select|\.ts|node_modules|postgres/i)
    assert.ok(!reply.text.includes(version))
  })

  for (const [status, what, text] of [
    [400, 'what is not HTTP', 'hello\r\n\r\n'],
    [501, 'a method nobody knows', 'FROBNICATE / HTTP/1.1\r\nHost: x\r\n\r\n'],
    [408, 'a request that never ends', 'GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: '],
    [431, 'headers without end', `GET /health HTTP/1.1\r\nHost: x\r\nX-Large: ${'x'.repeat(20_000)}\r\n\r\n`],
    [400, 'a call without a host', 'GET /health HTTP/1.1\r\nConnection: close\r\n\r\n'],
    [400, 'a host twice', 'GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n'],
    [200, 'an expectation nobody has', 'GET /livez HTTP/1.1\r\nHost: x\r\nExpect: much\r\nConnection: close\r\n\r\n'],
    [404, 'TRACE, whose echo would show credentials', 'TRACE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'],
  ] as const) {
    test(`${status} on the socket: ${what}`, async () => {
      const socket = connect(port, '127.0.0.1')
      let answer = ''
      socket.setEncoding('utf8').on('data', (chunk: string) => {
        answer += chunk
      })
      const closed = once(socket, 'close')
      socket.write(text)
      await closed
      const [head = ''] = answer.split('\r\n\r\n', 1)
      const [line = '', ...fields] = head.split('\r\n')
      assert.match(line, new RegExp(`^HTTP/1\\.1 ${status === 404 ? '40[45]' : status} `), answer)
      const headers = Object.fromEntries(
        fields.map((field) => [field.split(':', 1)[0]?.toLowerCase(), field.slice(field.indexOf(':') + 1).trim()]),
      )
      assertHeaders(headers, what)
    })
  }
})

test('without TLS at PUBLIC_URL there is no Strict-Transport-Security', async (context) => {
  const plain = await startTestApp()
  context.after(() => plain.stop())
  const { headers } = await plain.call('GET', '/health')
  assert.equal(headers['strict-transport-security'], undefined)
  assert.equal(headers['content-security-policy'], strict)
})

test('only health and the published document reveal the version to strangers', async () => {
  for (const path of ['/', '/nothing', '/docs', '/setup', '/api/v1/auth/me', '/api/v1/requests', '/livez', '/%zz']) {
    const reply = await t.call('GET', path)
    assert.ok(!reply.text.includes(version), path)
    assert.ok(!JSON.stringify(reply.headers).includes(version), path)
  }
  await eventually('the service still answers', async () => (await t.call('GET', '/livez')).status === 200)
})
