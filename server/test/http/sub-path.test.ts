import assert from 'node:assert/strict'
import { subscribe } from 'node:diagnostics_channel'
import { after, before, describe, test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { samplePassword, sampleReviewer } from '../../src/seed.ts'
import { startTestApp, type TestApp, testConfig } from '../harness.ts'
import { addProvider, createBrowser, ownPage, pathOf, startPath } from '../identity/sso/sso-app.ts'

const origin = 'https://hitl.example.com'
const publicUrl = `${origin}/hitl`

const paths: string[] = []
subscribe('fastify.initialization', (message) => {
  const { fastify } = message as { readonly fastify: FastifyInstance }
  fastify.addHook('onRoute', ({ url }) => void paths.push(url))
})

let t: TestApp
before(async () => {
  t = await startTestApp({ environment: { PUBLIC_URL: publicUrl, SSO_ALLOW: '127.0.0.0/8' } })
})
after(() => t.stop())

/** Paths from the root of the host in a page or a script: in attributes and in strings. */
function rootPaths(text: string): readonly string[] {
  return [...text.matchAll(/(?:=|\(|: ?|from )["'](\/(?!\/)[^"']*)["']/g)].map(([, path = '']) => path)
}

describe('PUBLIC_URL with a path', () => {
  test('every page, script and document names paths below it alone, and each of them exists', async () => {
    const walked = new Set<string>()
    const found: string[] = []
    const walk = async (path: string): Promise<void> => {
      if (walked.has(path)) return
      walked.add(path)
      const reply = await t.call('GET', path)
      // Their own code: what it loads is relative to what it was loaded from.
      if (/swagger-(ui|initializer)|redoc\.js|oauth2-redirect|\/assets\//.test(path)) return
      const type = String(reply.headers['content-type'])
      if (!/html|javascript|css/.test(type)) return
      for (const link of rootPaths(reply.text)) {
        found.push(link)
        assert.match(link, /^\/hitl\//, `${path} names ${link}`)
        const there = await t.call(link.includes('/api/v1/auth/') ? 'OPTIONS' : 'GET', link)
        assert.ok(
          there.status < 500 && (there.status !== 404 || link.includes('/api/v1/auth/')),
          `${path} names ${link}: ${there.status}`,
        )
        if (there.status === 200) await walk(link)
      }
    }
    for (const path of [
      '/',
      '/docs',
      '/docs/',
      '/redoc',
      '/setup',
      '/password/forgot',
      '/password/reset',
      '/email/confirm',
    ])
      await walk(path)
    assert.ok(found.length > 15, found.join())
  })

  test('/docs and /redoc are made of files that exist, with the path and without it', async () => {
    for (const path of [
      '/hitl',
      '/hitl/',
      '/hitl/docs',
      '/hitl/docs/',
      '/hitl/docs/json',
      '/hitl/redoc',
      '/hitl/redoc/start.js',
      '/hitl/health',
      '/hitl/api/v1/health',
    ]) {
      for (const spelled of [path, path.slice('/hitl'.length) || '/']) {
        assert.equal((await t.call('GET', spelled)).status, 200, spelled)
      }
    }
    assert.equal((await t.call('GET', '/hitlx/docs')).status, 404)
    assert.equal((await t.call('GET', '/hitl/hitl/docs')).status, 404)
  })

  test('openapi.json: the server and the place of tokens are below it', async () => {
    const { body } = await t.call('GET', '/hitl/openapi.json')
    assert.deepEqual(
      body.servers.map(({ url }: { url: string }) => url),
      ['/hitl'],
    )
    assert.equal(body.components.securitySchemes.person.flows.password.tokenUrl, '/hitl/api/v1/auth/login')
  })

  test('Location leads to what was made', async () => {
    const made = await t.call('POST', '/hitl/api/v1/requests', { as: t.apiKey, body: { title: 'May I?', context: {} } })
    assert.equal(made.status, 201)
    assert.equal(made.headers.location, `/hitl/api/v1/requests/${made.body.id}`)
    assert.equal((await t.call('GET', String(made.headers.location), { as: t.apiKey })).status, 200)
    const agent = await t.call('POST', '/api/v1/agents', { as: t.admin.token, body: { name: 'Another' } })
    assert.equal(agent.headers.location, `/hitl/api/v1/agents/${agent.body.id}`)
  })

  test('the cookie is for this path alone, and renews the session', async () => {
    const headers = { origin, 'sec-fetch-site': 'same-origin' }
    const body = { username: sampleReviewer, password: samplePassword, session_cookie: true }
    const signedIn = await t.call('POST', '/hitl/api/v1/auth/login', { body, headers })
    const cookie = String(signedIn.headers['set-cookie'])
    assert.match(cookie, /^__Secure-hitl_session=[\w-]+; Path=\/hitl; Max-Age=\d+; HttpOnly; SameSite=Strict; Secure$/)
    const again = { ...headers, cookie: cookie.split(';')[0] ?? '' }
    assert.equal((await t.call('POST', '/hitl/api/v1/auth/refresh', { headers: again })).status, 200)
  })

  test('links in letters, redirect addresses and the issuer of certificates keep it', async () => {
    const invited = await t.call('POST', '/api/v1/invitations', { as: t.admin.token, body: { role: 'reviewer' } })
    assert.match(invited.body.url, /^https:\/\/hitl\.example\.com\/hitl\/setup#/)
    const format = await t.call('GET', '/.well-known/hitl-api-key.json')
    assert.equal(format.body.revocation.url, `${publicUrl}/api/v1/api-keys/revoke-leaked`)
  })

  test('single sign-on leads to the provider and back, by cookies for this path alone', async (context) => {
    const provider = await addProvider(t, { creates_members: true, default_role: 'reviewer' })
    context.after(() => provider.op.close())
    const browser = createBrowser(t)
    const started = await browser.get(`/hitl${startPath(provider.id)}`, ownPage)
    assert.match(String(started.headers['set-cookie']), /^__Secure-hitl_sso=[\w-]{43}; Path=\/hitl; /)
    const asked = new URL(String(started.headers.location)).searchParams.get('redirect_uri')
    assert.equal(asked, `${publicUrl}/api/v1/auth/sso/${provider.id}/callback`)
    provider.op.signsIn({ sub: 'one', email: 'one@example.com', email_verified: true, name: 'One' })
    const back = pathOf(await provider.op.visit(String(started.headers.location)))
    const signedIn = await browser.get(back)
    assert.equal(signedIn.status, 303, signedIn.text)
    assert.equal(signedIn.headers.location, `${publicUrl}/`)
    assert.match(String(signedIn.headers['set-cookie']), /__Secure-hitl_session=[\w-]+; Path=\/hitl; /)

    assert.equal((await provider.change({ is_enforced: true })).status, 200)
    const body = { username: sampleReviewer, password: samplePassword }
    const refused = await t.call('POST', '/api/v1/auth/login', { body })
    assert.equal(refused.body.sso_start, `/hitl${startPath(provider.id)}`)
  })

  test('no path of the service begins with the path that PUBLIC_URL may have', () => {
    const first = new Set(paths.map((path) => path.split('/')[1] ?? '').filter((segment) => segment !== ''))
    assert.ok(first.size > 8, [...first].join())
    for (const segment of first) {
      const refused = { message: /PUBLIC_URL must not begin its path with/ }
      assert.throws(() => testConfig({ PUBLIC_URL: `https://example.com/${segment}` }), refused, segment)
    }
  })

  for (const address of [
    'https://example.com/?x=1',
    'https://example.com/a/../b',
    'https://example.com/a b',
    'https://u:p@example.com/hitl',
    'https://example.com//hitl',
    'https://example.com/hitl#x',
  ]) {
    test(`${address} is a mistake`, () => {
      assert.throws(() => testConfig({ PUBLIC_URL: address }), { message: /PUBLIC_URL must be an address alone/ })
    })
  }
})
