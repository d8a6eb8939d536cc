import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { startTestApp, type TestApp } from '../harness.ts'

let t: TestApp
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())

interface Document {
  readonly openapi: string
  readonly components: { readonly securitySchemes: Readonly<Record<string, object>> }
}

const read = async (): Promise<Document> => (await t.call('GET', '/openapi.json')).body

describe('/openapi.json', () => {
  test('200 with OpenAPI 3.1, the same at each of its addresses', async () => {
    const first = await t.call('GET', '/openapi.json')
    assert.equal(first.status, 200)
    assert.match(String(first.headers['content-type']), /^application\/json/)
    assert.match(first.body.openapi, /^3\.1\.\d+$/)
    for (const path of ['/openapi.json/', '/api/v1/openapi.json', '/docs/json']) {
      assert.deepEqual((await t.call('GET', path)).body, first.body, path)
    }
    const yaml = await t.call('GET', '/docs/yaml')
    assert.deepEqual([yaml.headers['content-type'], yaml.text], ['application/yaml', first.text])
    // The file is that of the routes.
    assert.deepEqual(first.body, JSON.parse(JSON.stringify(t.app.http.swagger())))
  })

  test('comes compressed as the client asks, each form with a tag of its own', async () => {
    const plain = await t.call('GET', '/openapi.json')
    const tags = new Set([plain.headers.etag])
    const unpack = { br: brotliDecompressSync, gzip: gunzipSync }
    for (const [accepted, encoding] of [
      ['gzip, deflate, br', 'br'],
      ['gzip', 'gzip'],
      ['br;q=0, gzip;q=0.5', 'gzip'],
      ['*', 'br'],
    ] as const) {
      const reply = await t.app.http.inject({ url: '/openapi.json', headers: { 'accept-encoding': accepted } })
      assert.equal(reply.headers['content-encoding'], encoding, accepted)
      assert.equal(reply.headers.vary, 'Accept-Encoding')
      assert.ok(reply.rawPayload.length < plain.text.length / 5, `${reply.rawPayload.length} bytes`)
      assert.equal(unpack[encoding](reply.rawPayload).toString(), plain.text)
      tags.add(reply.headers.etag as string)
    }
    assert.equal(tags.size, 3)
    for (const accepted of ['identity', 'br;q=0', 'deflate']) {
      const reply = await t.call('GET', '/openapi.json', { headers: { 'accept-encoding': accepted } })
      assert.equal(reply.headers['content-encoding'], undefined, accepted)
    }
  })

  test('304 to a client that has it', async () => {
    const { headers } = await t.call('GET', '/openapi.json')
    for (const known of [String(headers.etag), `W/${headers.etag}`, `"other", ${headers.etag}`, '*']) {
      const reply = await t.call('GET', '/openapi.json', { headers: { 'if-none-match': known } })
      assert.deepEqual([reply.status, reply.text, reply.headers.etag], [304, '', headers.etag], known)
    }
    const other = await t.call('GET', '/openapi.json', { headers: { 'if-none-match': '"other"' } })
    assert.equal(other.status, 200)
  })
})

/** Addresses that a page or a hand-written script makes a browser load. */
const loadedBy = (source: string): readonly string[] =>
  [...source.matchAll(/(?:(?:src|href)\s*=|import[^'"]* from)\s*["']([^"']+)["']/g)].map((match) => match[1] ?? '')

describe('/docs and /redoc', () => {
  for (const page of ['/docs', '/docs/', '/redoc', '/redoc/']) {
    test(`200 ${page}, and everything it loads comes from this service`, async () => {
      const reply = await t.call('GET', page)
      assert.equal(reply.status, 200)
      assert.match(String(reply.headers['content-type']), /^text\/html; charset=utf-8$/)
      const assets = [...loadedBy(reply.text)]
      for (const asset of assets) {
        if (asset.startsWith('data:')) continue
        const url = new URL(asset, `http://service.test${page}`)
        assert.equal(url.host, 'service.test', asset)
        const loaded = await t.call('GET', url.pathname)
        assert.equal(loaded.status, 200, asset)
        const type = asset.endsWith('.css') ? /^text\/css/ : asset.endsWith('.png') ? /^image\/png/ : /javascript/
        assert.match(String(loaded.headers['content-type']), type, asset)
        assert.ok(loaded.text.length > 30, asset)
        // The start scripts import; the large bundles import nothing.
        if (asset.endsWith('.js') && loaded.text.length < 10_000) assets.push(...loadedBy(loaded.text))
      }
      assert.ok(assets.length >= 2, `${assets}`)
    })

    test(`${page} allows no other source, and works over plain HTTP`, async () => {
      const policy = String((await t.call('GET', page)).headers['content-security-policy'])
      assert.match(policy, /default-src 'none'/)
      assert.match(policy, /script-src 'self'(;|$)/)
      assert.match(policy, /connect-src 'self'/)
      assert.doesNotMatch(policy, /https?:|\*|unsafe-eval|upgrade-insecure-requests|[a-z]\.[a-z]/)
    })
  }

  test('the start scripts name the document of this service and no validator elsewhere', async () => {
    const swagger = (await t.call('GET', '/docs/static/swagger-initializer.js')).text
    assert.match(swagger, /validatorUrl: null/)
    assert.match(swagger, /'\.\/json'/)
    const redoc = (await t.call('GET', '/redoc/start.js')).text
    assert.match(redoc, /'\/openapi\.json'/)
    for (const script of [swagger, redoc]) {
      const addresses = script.match(/https?:\/\/[^\s"')]+/g) ?? []
      assert.deepEqual(
        addresses.filter((address) => !address.startsWith('https://stackoverflow.com/')),
        [],
      )
    }
  })

  test('ReDoc loads its logo and icons from nowhere else', async () => {
    const bundle = await t.app.http.inject({ url: '/redoc/redoc.js' })
    assert.doesNotMatch(bundle.body, /https:\/\/[\w.]*(?:cdn|redocly|redoc)[\w.]*\/[^`'"]*\.(?:svg|png|js|css)/)
    assert.doesNotMatch(bundle.body, /https:\/\/cdn\./)
  })

  test('Authorize signs in at an existing address, with each scheme', async () => {
    const { components } = await read()
    const person = components.securitySchemes.person as unknown as { flows: { password: { tokenUrl: string } } }
    const reply = await t.call('POST', person.flows.password.tokenUrl, {
      payload: 'grant_type=password&username=reviewer%40example.com&password=password123&scope=',
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'x-requested-with': 'XMLHttpRequest' },
    })
    assert.equal(reply.status, 200)
    for (const name of ['accessToken', 'apiKey']) {
      const { type, scheme } = components.securitySchemes[name] as { type: string; scheme: string }
      assert.deepEqual([type, scheme], ['http', 'bearer'])
    }
  })
})
