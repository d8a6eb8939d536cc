import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { rangeOf, rangeUnsatisfiable } from '../../src/attachments/byte-range.ts'
import { startTestApp, type TestApp } from '../harness.ts'

let t: TestApp
let path: string
/** Three chunks, the last one short. */
const content = Buffer.from(Array.from({ length: 600_000 }, (_, at) => (at * 31 + (at >> 8)) % 251))
before(async () => {
  t = await startTestApp()
  const { id } = await t.createRequest()
  const form = new FormData()
  form.set('file', new Blob([content]), 'a.bin')
  const { body } = await t.call('POST', `/api/v1/requests/${id}/attachments`, { as: t.apiKey, body: form })
  path = `/api/v1/requests/${id}/attachments/${body.id}`
})
after(() => t.stop())

const ask = (headers: Readonly<Record<string, string>>, method: 'GET' | 'HEAD' = 'GET') =>
  t.app.http.inject({ method, url: path, headers: { authorization: `Bearer ${t.apiKey}`, ...headers } })

/** What RFC 9110, 14.1.2 says, written as a reader would: null is all of it, `none` is not there. */
function naive(range: string, size: number): readonly number[] | 'none' | null {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(range) ?? []
  if (first === undefined || last === undefined || (first === '' && last === '')) return null
  const all = Array.from({ length: size }, (_, at) => at)
  if (first !== '' && last !== '' && Number(last) < Number(first)) return null
  const wanted =
    first === ''
      ? Number(last) === 0
        ? []
        : all.slice(-Number(last))
      : all.slice(Number(first), last === '' ? undefined : Number(last) + 1)
  return wanted.length === 0 ? 'none' : wanted
}

test('of small files, every range is the one of a plain slice', () => {
  const number = fc.oneof(fc.constant(''), fc.nat(20).map(String))
  fc.assert(
    fc.property(fc.nat(16), number, number, (size, first, last) => {
      const header = `bytes=${first}-${last}`
      const expected = naive(header, size)
      let found: ReturnType<typeof naive>
      try {
        const range = rangeOf(header, size)
        found = range && Array.from({ length: range.last - range.first + 1 }, (_, at) => range.first + at)
      } catch (error) {
        assert.equal((error as { readonly code?: string }).code, rangeUnsatisfiable.code)
        found = 'none'
      }
      assert.deepEqual(found, expected, `${header} of ${size}`)
    }),
    { numRuns: 3_000 },
  )
})

test('over the wire, each part is that slice of the file, across chunks', async () => {
  const place = fc.oneof(fc.nat(content.length - 1), fc.constantFrom(0, 262_143, 262_144, 524_287, 524_288, 599_999))
  await fc.assert(
    fc.asyncProperty(place, fc.oneof(fc.nat(700_000), fc.nat(3)), fc.boolean(), async (first, length, isOpen) => {
      const last = isOpen ? '' : String(first + length)
      const reply = await ask({ range: `bytes=${first}-${last}` })
      const expected = content.subarray(first, isOpen ? undefined : first + length + 1)
      assert.equal(reply.statusCode, 206)
      assert.equal(reply.headers['content-range'], `bytes ${first}-${first + expected.length - 1}/${content.length}`)
      assert.equal(reply.headers['content-length'], String(expected.length))
      assert.ok(reply.rawPayload.equals(expected))
    }),
    { numRuns: 60 },
  )
})

test('conditions: ETag, If-Range, If-None-Match, HEAD, several parts, none', async () => {
  const whole = await ask({})
  const { etag } = whole.headers
  assert.match(String(etag), /^"[0-9a-f]{64}"$/)
  const some = { range: 'bytes=10-19' }
  assert.deepEqual((await ask({ ...some, 'if-range': String(etag) })).rawPayload, content.subarray(10, 20))
  for (const other of ['"other"', `W/${etag}`, 'Sat, 31 Jan 2026 09:00:00 GMT']) {
    assert.equal((await ask({ ...some, 'if-range': other })).statusCode, 200)
  }
  for (const range of ['bytes=0-1,5-6', 'bytes=5-1', 'lines=0-1', 'bytes=-', 'bytes=a-b']) {
    assert.equal((await ask({ range })).statusCode, 200, range)
  }
  for (const range of ['bytes=600000-', 'bytes=600000-600001', 'bytes=-0']) {
    const reply = await ask({ range })
    assert.deepEqual([reply.statusCode, reply.headers['content-range']], [416, 'bytes */600000'], range)
  }
  for (const tag of [String(etag), `W/${etag}`, `"x", ${etag}`, '*']) {
    const reply = await ask({ 'if-none-match': tag })
    assert.deepEqual([reply.statusCode, reply.rawPayload.length], [304, 0], tag)
  }
  const about = await ask(some, 'HEAD')
  const length = about.headers['content-length']
  assert.deepEqual([about.statusCode, length, about.rawPayload.length], [200, '600000', 0])
})
