import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
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

  test('it can be installed: the page names a manifest, whose icons are there in the sizes that it states', async () => {
    const page = await t.call('GET', '/')
    assert.match(String(page.headers['content-security-policy']), /; manifest-src 'self';/)
    const named = /<link rel="manifest" href="([^"]+)"/.exec(page.text)?.[1] ?? ''
    const manifest = await t.call('GET', named)
    assert.equal(manifest.status, 200)
    assert.match(String(manifest.headers['content-type']), /^application\/manifest\+json/)
    const { icons, start_url, scope } = JSON.parse(manifest.text)
    assert.deepEqual([start_url, scope], ['./', './'], 'below the path of PUBLIC_URL, wherever that is')
    const touch = /<link rel="apple-touch-icon" href="([^"]+)"/.exec(page.text)?.[1] ?? ''
    const sizes: string[] = []
    for (const { src, sizes: stated, type } of [...icons, { src: touch, sizes: '180x180', type: 'image/png' }]) {
      const icon = await t.app.http.inject(new URL(src, `http://x${named}`).pathname)
      assert.equal(icon.statusCode, 200, src)
      assert.equal(String(icon.headers['content-type']).split(';')[0], type)
      assert.equal(icon.headers['cache-control'], 'no-cache', 'its name stays when it changes')
      // The first chunk of a PNG: its width and its height.
      const real = [16, 20].map((at) => type === 'image/png' && icon.rawPayload.readUInt32BE(at)).join('x')
      if (type === 'image/png') assert.equal(real, stated, src)
      sizes.push(stated)
    }
    assert.ok(sizes.includes('192x192') && sizes.includes('512x512') && sizes.includes('any'), 'what browsers ask for')
  })

  test('what the browser keeps of it is there, may call the service alone, and is shown at its addresses', async () => {
    const script = await t.call('GET', '/service-worker.js')
    assert.equal(script.status, 200)
    assert.equal(script.headers['cache-control'], 'no-cache')
    assert.match(String(script.headers['content-security-policy']), /^default-src 'none'; connect-src 'self'; /)
    const { entry, files } = JSON.parse(/^const build = (.*)$/m.exec(script.text)?.[1] ?? '')
    const page = (await t.call('GET', '/')).text
    assert.ok(page.includes(entry) && files.includes(entry))
    for (const file of filesIn(page)) assert.ok(files.includes(file.slice(1)), file)
    for (const file of files) assert.equal((await t.call('GET', `/${file}`)).status, 200, file)
    const lazy = (await readdir(join(web, 'dist/assets'))).filter((name) => name.endsWith('.js'))
    assert.deepEqual(
      lazy.filter((name) => !files.includes(`assets/${name}`)),
      [],
      'every part that is loaded later is kept',
    )
    const source = await readFile(join(web, 'src/offline/service-worker.ts'), 'utf8')
    const known = /const pages = new Set\(\[([^\]]+)\]/.exec(source)?.[1]?.match(/(?<=')[^',]*(?=')/g) ?? []
    assert.deepEqual(known.filter((name) => /^[a-z-]+$/.test(name)).sort(), [...webSegments].sort())
  })

  test('the service serves the page at every address that the application has', async () => {
    const routes = await readFile(join(web, 'src/app/routes.tsx'), 'utf8')
    const paths = [...routes.matchAll(/path: '\/([a-z-]+)/g)].map(([, segment = '']) => segment)
    assert.deepEqual([...new Set(paths)].sort(), [...webSegments].sort())
  })
})
