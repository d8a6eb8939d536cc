import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { matches, readPattern } from '../../../src/consultations/questions/pattern.ts'
import { readSchema } from '../../../src/consultations/questions/schema-subset.ts'
import { checkValue } from '../../../src/consultations/questions/value-check.ts'

function read(text: string) {
  const reading = readPattern(text)
  assert.ok('pattern' in reading, JSON.stringify([text, reading]))
  return reading.pattern
}

const atom = fc.constantFrom(
  'a',
  'b',
  '.',
  '\\d',
  '\\s',
  '\\S',
  '\\w',
  '\\W',
  '[ab]',
  '[^a\\s]',
  '\\u00e9',
  '\\u{1F9ED}',
  '\\t',
  '\\.',
  '[\\b-]',
  '\\p{L}',
  '-',
  ',',
  ':',
  '/',
)
const piece = fc.tuple(atom, fc.constantFrom('', '?', '*', '+', '{2}', '{0,2}', '*?')).map((parts) => parts.join(''))
const sequence = fc.array(piece, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(''))
const pattern = fc
  .tuple(fc.constantFrom('', '^'), sequence, sequence, fc.constantFrom('', '$'))
  .map(([start, one, other, end]) => `${start}(?:${one}|(${other}))${end}`)
const sign = fc.constantFrom(
  'a',
  'b',
  'c',
  '1',
  ' ',
  '\n',
  '\r',
  '\u2028',
  '\u00a0',
  'é',
  '🧭',
  '-',
  '\b',
  '.',
  '\t',
  ',',
)

test('reads every pattern as the RegExp of a browser does', () => {
  fc.assert(
    fc.property(
      pattern,
      fc.array(fc.string({ unit: sign, maxLength: 6 }), { minLength: 5, maxLength: 5 }),
      (text, values) => {
        const own = read(text)
        const native = new RegExp(text, 'u')
        for (const value of values) assert.equal(matches(own, value), native.test(value), JSON.stringify([text, value]))
      },
    ),
    { numRuns: 1_000 },
  )
})

test('any text as a pattern is read or refused with a reason', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
      const reading = readPattern(text)
      if ('refused' in reading) assert.ok(reading.refused.length > 10)
      else matches(reading.pattern, text)
    }),
    { numRuns: 2_000 },
  )
})

test('what takes a backtracking engine years, and the dearest patterns for this one, are over in a moment', () => {
  const random = Array.from({ length: 100_000 }, (_, at) => 'ab'[((at * 7_919) ^ (at >> 3)) & 1]).join('')
  for (const text of [
    '^(a+)+$',
    '^(a|aa)+$',
    '(.*a){20}$',
    '[ab]*a[ab]{200}[cd]',
    '^(?:[ab]?){200}[cd]',
    '(?:[ab]*[cd]?){50}[ef]',
  ]) {
    const reading = readSchema({ type: 'object', properties: { v: { type: 'string', pattern: text } } })
    assert.ok('read' in reading, text)
    for (const value of [random, 'a'.repeat(100_000), `${'a'.repeat(4_900)}!`]) {
      const { user } = process.cpuUsage()
      checkValue(reading.read, { v: value })
      const milliseconds = (process.cpuUsage().user - user) / 1_000
      assert.ok(milliseconds < 500, `${text}: ${milliseconds} ms`)
    }
  }
})

test('a text that is too much for its pattern is refused with a sentence', () => {
  const reading = readSchema({ type: 'object', properties: { v: { type: 'string', pattern: '^[ab]{0,200}$' } } })
  assert.ok('read' in reading)
  const [flaw] = checkValue(reading.read, { v: 'a'.repeat(100_000) })
  assert.equal(flaw?.message, 'is too long to be checked with its patterns: shorten it')
})
