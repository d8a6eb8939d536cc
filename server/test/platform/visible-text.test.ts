import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { isLine, toLine, visible } from '../../src/platform/visible-text.ts'

/** Every character that is not seen, by its properties in Unicode; the emoji's own mark is another matter. */
const unseen = Array.from({ length: 0x11_0000 }, (_, code) => code)
  .filter((code) => code !== 0xfe0f && (code < 0xd800 || code > 0xdfff))
  .map((code) => String.fromCodePoint(code))
  .filter((sign) => /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]|[\u{e0000}-\u{e007f}\u3164\u115f\u1160\uffa0\u180e]/u.test(sign))

describe('what is invisible is made visible', () => {
  test('every control and format character, separator, tag and filler, by its number', () => {
    assert.ok(unseen.length > 250)
    for (const sign of unseen) {
      const number = `U+${sign.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}`
      assert.equal(visible(`a${sign}b`, 'line'), `a[${number}]b`)
      if (sign !== '\n') assert.equal(visible(`a${sign}b`, 'lines'), `a[${number}]b`)
    }
  })

  for (const [shown, text, as] of [
    ['pay 10[U+202E]99', 'pay 10\u202e99', 'line'],
    ['yes[U+E0041][U+E0042]', 'yes\u{e0041}\u{e0042}', 'line'],
    ['one[U+000A]two', 'one\ntwo', 'line'],
    ['one[U+000D][U+000A]two', 'one\r\ntwo', 'line'],
    ['one\ntwo\r\nthree[U+000D]', 'one\ntwo\r\nthree\r', 'lines'],
    ['❤️ 1️⃣ a[U+FE0F]', '❤️ 1️⃣ a\ufe0f', 'line'],
    ['a[U+E0100][U+FE00]', 'a\u{e0100}\ufe00', 'line'],
    ['half [U+D800]', 'half \ud800', 'line'],
    ['Zürich, 東京, عربى, हिन्दी, e\u0301, 😀', 'Zürich, 東京, عربى, हिन्दी, e\u0301, 😀', 'line'],
  ] as const) {
    test(`${as}: ${shown}`, () => assert.equal(visible(text, as), shown))
  }

  test('JSON text keeps its value, and has nothing invisible but its line ends', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.array(fc.constantFrom(...unseen)), (value, signs) => {
        const given = { value, signs, [signs.join('')]: 1 }
        const shown = visible(JSON.stringify(given, null, 2), 'json')
        assert.equal(JSON.stringify(JSON.parse(shown)), JSON.stringify(given))
        assert.doesNotMatch(shown.replaceAll('\n', ''), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
      }),
    )
  })
})

describe('a name in one line', () => {
  for (const name of [
    'x',
    'Delete 3 volumes?',
    'Zoë O’Neill',
    '東京',
    'नमस्ते',
    'می\u200cخواهم',
    '👩\u200d🚀',
    'a\u00a0b',
  ]) {
    test(`${name} is one`, () => {
      assert.ok(isLine(name))
      assert.equal(toLine(name, 255), name)
    })
  }
  for (const [name, made] of [
    [' ', null],
    [' x', 'x'],
    ['x\u00a0', 'x'],
    ['\ufeffx', 'x'],
    ['one\ntwo', 'one two'],
    ['one\u2028two', 'one two'],
    ['a\u0000b', 'a b'],
    ['\u001b[31mred', '[31mred'],
    ['a\u0085b', 'a b'],
    ['exe.\u202egpj', 'exe. gpj'],
    ['a\u200eb', 'a b'],
    ['a\u2067b', 'a b'],
    ['\u3164', null],
    ['\u200b', null],
    ['\u{e0041}', null],
    ['\u2800\u115f', null],
  ] as const) {
    test(`${JSON.stringify(name)} is none, and becomes ${made}`, () => {
      assert.ok(!isLine(name))
      assert.equal(toLine(name, 255), made)
    })
  }
  test('what is made to fit, fits', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 1, max: 20 }), (text, longest) => {
        const line = toLine(text, longest)
        assert.ok(line === null || (isLine(line) && line !== '' && [...line].length <= longest))
      }),
    )
  })
})
