import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { webSegments } from '../../src/http/web-app.ts'
import { startTestApp, type TestApp } from '../harness.ts'

const web = join(import.meta.dirname, '../../../web')

let t: TestApp
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())

const filesIn = (html: string): readonly string[] =>
  [...html.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path = '']) => path)

describe('the web application', () => {
  for (const path of [
    '/',
    '/inbox',
    '/inbox/all/01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a59',
    '/settings',
    '/sign-in',
    // Links in letters and in the output of a start.
    '/setup',
    '/setup/',
    '/password/forgot',
    '/password/reset',
    '/email/confirm',
  ]) {
    test(`${path} is its page, which a browser asks for each time`, async () => {
      const page = await t.call('GET', path)
      assert.equal(page.status, 200)
      assert.match(String(page.headers['content-type']), /^text\/html/)
      assert.equal(page.headers['cache-control'], 'no-cache')
      assert.ok(filesIn(page.text).length >= 2, page.text)
      assert.doesNotMatch(String(page.headers['content-security-policy']), /unsafe|https?:|\*/)
      assert.match(String(page.headers['content-security-policy']), /form-action 'none'; frame-ancestors 'none'/)
      assert.equal(page.headers['referrer-policy'], 'no-referrer')
      assert.doesNotMatch(page.text, /<style|<script(?! type="module")|<script[^>]*>[^<]| style=| on\w+=/)
      const again = await t.call('GET', path, { headers: { 'if-none-match': String(page.headers.etag) } })
      assert.equal(again.status, 304)
    })
  }

  test('its files are compressed as the client takes them, and kept for a year', async () => {
    const files = filesIn((await t.call('GET', '/')).text)
    for (const file of files) {
      const plain = await t.call('GET', file, { headers: { 'accept-encoding': 'identity' } })
      assert.equal(plain.status, 200, file)
      assert.equal(plain.headers['cache-control'], 'public, max-age=31536000, immutable')
      for (const [encoding, decompress] of [
        ['br', brotliDecompressSync],
        ['gzip', gunzipSync],
      ] as const) {
        const reply = await t.app.http.inject({ url: file, headers: { 'accept-encoding': encoding } })
        assert.equal(reply.headers['content-encoding'], encoding, file)
        assert.equal(reply.headers.vary, 'Accept-Encoding')
        assert.equal(decompress(reply.rawPayload).toString(), plain.text, file)
      }
    }
  })

  for (const path of [
    '/assets/',
    '/assets/nothing.js',
    '/assets/../index.html',
    '/assets/..%2findex.html',
    '/inboxes',
  ]) {
    test(`${path} is not a page`, async () => {
      const reply = await t.call('GET', path)
      assert.ok([400, 404].includes(reply.status), `${reply.status}`)
      assert.match(String(reply.headers['content-type']), /^application\/problem\+json/)
    })
  }

  test('what the API does not have is still 404 in JSON, for browsers too', async () => {
    const reply = await t.call('GET', '/api/v1/nothing', { headers: { accept: 'text/html' } })
    assert.equal(reply.status, 404)
    assert.match(String(reply.headers['content-type']), /^application\/problem\+json/)
  })

  test('the service serves the page at every address that the application has', async () => {
    const routes = await readFile(join(web, 'src/app/routes.tsx'), 'utf8')
    const paths = [...routes.matchAll(/path: '\/([a-z-]+)/g)].map(([, segment = '']) => segment)
    assert.deepEqual([...new Set(paths)].sort(), [...webSegments].sort())
  })
})
