import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { segmentsOf } from '../../src/rendering/visible-text.ts'

const kinds = (text: string, as: 'line' | 'lines' = 'line') =>
  segmentsOf(text, as).map((segment) => (segment.kind === 'plain' ? segment.text : `<${segment.kind}>`))

describe('what nobody sees is made visible', () => {
  const unseen = [
    0x00, 0x07, 0x1b, 0x7f, 0x85, 0xad, 0x034f, 0x061c, 0x115f, 0x1160, 0x17b4, 0x180e, 0x200b, 0x200c, 0x200d, 0x200e,
    0x200f, 0x2028, 0x2029, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2060, 0x2066, 0x2067, 0x2068, 0x2069, 0x2800,
    0x3164, 0xfe0f, 0xfeff, 0xffa0, 0xe0001, 0xe0041, 0xe0100,
  ]
  for (const code of unseen) {
    const name = `U+${code.toString(16).toUpperCase().padStart(4, '0')}`
    test(name, () => {
      const [before, segment, after] = segmentsOf(`pay${String.fromCodePoint(code)}me`)
      assert.deepEqual([before?.text, after?.text], ['pay', 'me'])
      assert.ok(segment?.kind === 'unseen' && segment.code === name)
    })
  }
  test('a run of them is one, whatever its length', () => {
    const [segment, ...others] = segmentsOf('\u200b'.repeat(100_000))
    assert.ok(segment?.kind === 'unseen' && segment.count === 100_000)
    assert.deepEqual(others, [])
  })
  test('a letter under a pile of marks covers no line above it', () => {
    assert.deepEqual(kinds(`a${'\u0301'.repeat(200)}b`), ['a\u0301\u0301\u0301', '<unseen>', 'b'])
  })
  test('line ends stay where lines are shown', () => {
    assert.deepEqual(kinds('a\nb\r\nc\td', 'lines'), ['a\nb\r\nc\td'])
    assert.deepEqual(kinds('a\nb'), ['a', '<unseen>', 'b'])
    assert.deepEqual(kinds('a\rb', 'lines'), ['a', '<unseen>', 'b'])
  })
  test('joiners that a language writes with stay', () => {
    assert.deepEqual(kinds('\u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645'), [
      '\u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645',
    ])
    assert.deepEqual(kinds('pay\u200cpal'), ['pay', '<unseen>', 'pal'])
  })
  test('an emoji made of several signs is one', () => {
    assert.deepEqual(kinds('\u2764\ufe0f \u{1f468}\u200d\u{1f469}\u200d\u{1f467}'), [
      '\u2764\ufe0f \u{1f468}\u200d\u{1f469}\u200d\u{1f467}',
    ])
  })
})

describe('what passes for another letter is marked with its script', () => {
  const scripts = (text: string) =>
    segmentsOf(text).flatMap((segment) => (segment.kind === 'lookalike' ? [`${segment.text} ${segment.script}`] : []))
  for (const [text, found] of [
    ['\u0440aypal', ['\u0440 Cyrillic']],
    ['p\u0430yp\u0430l', ['\u0430 Cyrillic', '\u0430 Cyrillic']],
    ['Send it to \u0430\u0440\u0440\u0435 now', ['\u0430\u0440\u0440\u0435 Cyrillic']],
    ['g\u03bfogle', ['\u03bf Greek']],
    ['\uff41dmin', ['\uff41 other form']],
    ['\u{1d5ee}dmin', ['\u{1d5ee} other form']],
  ] as const) {
    test(JSON.stringify(text), () => assert.deepEqual(scripts(text), found))
  }
  for (const text of [
    'Grüße aus Zürich, naïve café, señor, Øre, Łódź',
    'Привет, это обычный текст',
    'Καλημέρα κόσμε',
    '日本語のテキスト with Latin',
    'مرحبا بالعالم',
    'שלום עולם',
    'x² + μ = 5 µm, Ω 3 €',
    'Привет from Moscow',
    'हिन्दी',
  ]) {
    test(`ordinary: ${text}`, () => assert.deepEqual(scripts(text), []))
  }
})

test('a text of a million signs takes a moment', () => {
  for (const sign of ['a', 'а', '\u200b\u200c', 'aа', '\u0301', '\u{1f600}\u200d']) {
    const startedAt = performance.now()
    segmentsOf(sign.repeat(1_000_000 / sign.length))
    assert.ok(performance.now() - startedAt < 3_000, `${JSON.stringify(sign)}: ${performance.now() - startedAt} ms`)
  }
})
