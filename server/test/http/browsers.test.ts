import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { samplePassword, sampleReviewer } from '../../src/seed.ts'
import { startTestApp, type TestApp } from '../harness.ts'

const origin = 'https://app.example.com'

describe('CORS_ORIGINS names two origins', () => {
  let t: TestApp
  before(async () => {
    t = await startTestApp({ environment: { CORS_ORIGINS: `${origin}, http://localhost:3000` } })
  })
  after(() => t.stop())

  const preflight = (from: string, path = '/api/v1/requests') =>
    t.call('OPTIONS', path, {
      headers: {
        origin: from,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type,idempotency-key',
      },
    })

  for (const from of [origin, 'http://localhost:3000']) {
    test(`${from} may read replies, including refusals`, async () => {
      for (const [path, status] of [
        ['/api/v1/health', 200],
        ['/api/v1/auth/me', 401],
        ['/nothing', 404],
      ] as const) {
        const reply = await t.call('GET', path, { headers: { origin: from } })
        assert.equal(reply.status, status)
        assert.equal(reply.headers['access-control-allow-origin'], from)
        assert.match(String(reply.headers.vary), /origin/i)
        assert.match(String(reply.headers['access-control-expose-headers']), /x-request-id/)
        assert.equal(reply.headers['access-control-allow-credentials'], undefined)
      }
    })
  }

  test('204 for a preflight from an allowed origin, with what is allowed', async () => {
    const reply = await preflight(origin)
    assert.equal(reply.status, 204)
    assert.equal(reply.headers['access-control-allow-origin'], origin)
    for (const method of ['GET', 'POST', 'PATCH']) {
      assert.match(String(reply.headers['access-control-allow-methods']), new RegExp(method))
    }
    for (const header of ['authorization', 'content-type', 'idempotency-key', 'x-request-id']) {
      assert.match(String(reply.headers['access-control-allow-headers']), new RegExp(header))
    }
    assert.equal(reply.headers['access-control-max-age'], '600')
  })

  for (const from of [
    'https://evil.example',
    'https://app.example.com.evil.example',
    'http://app.example.com',
    `${origin}:8443`,
    'null',
  ]) {
    test(`${from} may not`, async () => {
      for (const reply of [
        await preflight(from),
        await t.call('GET', '/api/v1/health', { headers: { origin: from } }),
      ]) {
        assert.equal(reply.headers['access-control-allow-origin'], undefined)
      }
    })
  }

  test(`${origin} can sign in with a bearer token but not with a cookie, which is for pages of the service`, async () => {
    const signIn = (session_cookie: boolean) =>
      t.call('POST', '/api/v1/auth/login', {
        body: { username: sampleReviewer, password: samplePassword, session_cookie },
        headers: { origin, 'sec-fetch-site': 'same-site' },
      })
    const replies = [
      await signIn(true),
      await t.call('POST', '/api/v1/auth/refresh', { headers: { origin, 'sec-fetch-site': 'same-site' } }),
    ]
    for (const reply of replies) {
      assert.deepEqual([reply.status, reply.body.code], [403, 'auth.cross_site'])
      assert.match(reply.body.detail, /bearer token/)
      assert.equal(reply.headers['access-control-allow-origin'], origin, 'the page may read why')
    }
    const bearer = await signIn(false)
    assert.equal(bearer.status, 200, bearer.text)
    assert.equal(bearer.body.token_type, 'bearer')
    assert.equal(bearer.headers['set-cookie'], undefined)
  })

  test('OPTIONS that is not a preflight gets a reply without a body', async () => {
    const reply = await t.call('OPTIONS', '/api/v1/requests')
    assert.equal(reply.status, 204)
    assert.equal(reply.text, '')
  })
})

test('405 for OPTIONS when no origin is allowed', async (context) => {
  const t = await startTestApp()
  context.after(() => t.stop())
  const reply = await t.call('OPTIONS', '/api/v1/requests', {
    headers: { origin, 'access-control-request-method': 'POST' },
  })
  assert.equal(reply.status, 405)
  assert.equal(reply.headers['access-control-allow-origin'], undefined)
})

for (const [value, expected] of [
  ['', undefined],
  ['*', '*'],
] as const) {
  test(`CORS_ORIGINS ${value === '' ? 'unset: no origin may read replies' : '*: any origin may'}`, async (context) => {
    const t = await startTestApp({ environment: { CORS_ORIGINS: value } })
    context.after(() => t.stop())
    const reply = await t.call('GET', '/api/v1/health', { headers: { origin } })
    assert.equal(reply.headers['access-control-allow-origin'], expected)
  })
}
