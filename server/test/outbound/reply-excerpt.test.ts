import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createReplyExcerpt, parseRetryAfter } from '../../src/outbound/reply-excerpt.ts'

const noon = Date.UTC(2030, 0, 1, 12, 0, 0)

function excerptOf(...chunks: readonly (string | Uint8Array)[]): string {
  const excerpt = createReplyExcerpt()
  for (const chunk of chunks) excerpt.add(typeof chunk === 'string' ? Buffer.from(chunk) : chunk)
  return excerpt.text()
}

describe('what is kept of a reply', () => {
  const cases: readonly [what: string, chunks: readonly (string | Uint8Array)[], text: string][] = [
    ['nothing', [], ''],
    ['an empty chunk', [''], ''],
    ['a short text, whole', ['hello ', 'world\r\n\t✓'], 'hello world\r\n\t✓'],
    ['1 000 characters of a longer text', ['x'.repeat(1_001)], 'x'.repeat(1_000)],
    ['1 000 characters outside the basic plane, none cut in half', ['😀'.repeat(1_500)], '😀'.repeat(1_000)],
    ['a character that is split over chunks', [Buffer.from('é').subarray(0, 1), Buffer.from('é').subarray(1)], 'é'],
    [
      'text where the reply was cut within a character',
      [`${'x'.repeat(900)}${'€'.repeat(1_100)}`],
      'x'.repeat(900) + '€'.repeat(100),
    ],
    ['NUL and other control characters as U+FFFD', ['a\0b\u001B[31mc\u007F\u0085'], 'a\uFFFDb\uFFFD[31mc\uFFFD\uFFFD'],
    [
      'bytes that are not UTF-8 as U+FFFD',
      [Buffer.from([0x61, 0xff, 0xed, 0xa0, 0x80, 0x62])],
      'a\uFFFD\uFFFD\uFFFD\uFFFDb',
    ],
    ['an unfinished character at the end as U+FFFD', [Buffer.from([0x61, 0xc3])], 'a\uFFFD'],
    ['a byte order mark', ['\uFEFFa'], '\uFEFFa'],
  ]
  for (const [what, chunks, text] of cases) test(what, () => assert.equal(excerptOf(...chunks), text))

  test('the length counts every byte, the memory holds 4 000 of them', () => {
    const excerpt = createReplyExcerpt()
    for (let i = 0; i < 100; i += 1) excerpt.add(Buffer.alloc(1_000, 'x'))
    assert.equal(excerpt.length, 100_000)
    assert.equal(excerpt.text(), 'x'.repeat(1_000))
  })
})

describe('Retry-After', () => {
  const cases: readonly [header: string | undefined, seconds: number | null][] = [
    [undefined, null],
    ['', null],
    ['0', 0],
    ['120', 120],
    [' 5 ', 5],
    ['-1', null],
    ['1.5', null],
    ['5s', null],
    ['soon', null],
    ['Infinity', null],
    ['0x10', null],
    ['9'.repeat(400), 31_536_000],
    ['Tue, 01 Jan 2030 12:00:30 GMT', 30],
    ['Tue, 01 Jan 2030 11:59:30 GMT', 0],
    ['Sun, 06 Nov 1994 08:49:37 GMT', 0],
    ['Fri, 01 Jan 9999 12:00:30 GMT', 31_536_000],
    ['Tue, 01 Jan 2030 12:00:30 CET', null],
    ['Tue, 31 Feb 2030 12:00:30 GMT', null],
    ['Tue, 01 Foo 2030 12:00:30 GMT', null],
    ['Tue, 01 Jan 2030 25:00:30 GMT', null],
    ['Wed, 01 Jan 2030 12:00:30 GMT', null],
    ['Invalid Date', null],
    ['2030-01-01T12:00:30Z', null],
    // The two forms that RFC 9110 calls obsolete: the retry schedule applies.
    ['Tuesday, 01-Jan-30 12:00:30 GMT', null],
    ['Tue Jan  1 12:00:30 2030', null],
  ]
  for (const [header, seconds] of cases) {
    test(`${header?.slice(0, 40)} is ${seconds}`, () => assert.equal(parseRetryAfter(header, noon), seconds))
  }
})
