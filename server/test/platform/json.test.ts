import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { maxJsonDepth, parseExactJson } from '../../src/platform/json.ts'
import { Problem } from '../../src/platform/problem.ts'

const parse = (text: string) => parseExactJson(Buffer.from(text))

function refusal(text: string | Buffer): Problem {
  try {
    parseExactJson(Buffer.from(text))
  } catch (error) {
    assert.ok(error instanceof Problem)
    return error
  }
  return assert.fail(`taken: ${text}`)
}

describe('numbers', () => {
  const kept = [
    '0',
    '-0',
    '1',
    '-1',
    '1.0',
    '0.1',
    '1E5',
    '1e+5',
    '1e-5',
    '10e-1',
    '100',
    '0.30000000000000004',
    '9007199254740991',
    '123456789012345',
    '9007199254740992.0',
    '1e21',
    '1e22',
    '1e300',
    '5e-324',
    '4.9E-324',
    '3.1400000000000001',
    '333333333.33333329',
    '1E30',
    '4.50',
    '2e-3',
    '0.000000000000000000000000001',
    '1.7976931348623157e308',
    '2.2250738585072014e-308',
    '0e999999999',
    '-0.0e-5',
    '0.000',
    '1e00005',
    '0.1000000000000000000000000000',
  ]
  for (const literal of kept) {
    test(`${literal} is kept as it is written`, () => assert.equal(parse(`{"a":${literal}}`).members.get('a'), literal))
  }
  const lost = [
    '9007199254740992',
    '-9007199254740992',
    '123456789012345680000',
    '100000000000000000000000',
    '9007199254740993',
    '-9007199254740993',
    '0.1234567890123456789',
    '1e309',
    '-1e309',
    '1e-400',
    '4.8e-324',
    '3e-324',
    '9223372036854771712',
    '9007199254740993.0',
    '3.14000000000000012',
    '1.7976931348623159e308',
    '12345678901234567',
    '100000000000000000000001',
    '1e99999999999999999999',
    '1e-99999999999999999999',
    '0.10000000000000000000000001',
  ]
  for (const literal of lost) {
    test(`${literal} is refused`, () => {
      const problem = refusal(`{"a":[{"b":${literal}}]}`)
      assert.deepEqual([problem.status, problem.errors?.[0]?.path], [422, 'a[0].b'])
      assert.equal(
        problem.message,
        `a[0].b is a number that cannot be kept exactly: send it as the string "${literal}".`,
      )
    })
  }

  test('everything that a double prints is kept; a number with more digits than a double holds is refused', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        // An integer beyond 2^53 - 1 is kept in its other spelling only.
        const plain =
          Number.isInteger(value) && !Number.isSafeInteger(value) ? [] : [String(value), JSON.stringify(value)]
        for (const literal of [...plain, value.toExponential()]) {
          assert.equal(parse(`[${literal}]`).members.size, 0)
        }
      }),
      { numRuns: 1_000 },
    )
    fc.assert(
      fc.property(fc.bigInt({ min: 2n ** 53n, max: 2n ** 80n }), (value) => {
        assert.equal(refusal(`[${value}]`).status, 422)
        assert.equal(refusal(`[-${value}]`).status, 422)
      }),
    )
  })

  test('a mebibyte of digits is checked in linear time', () => {
    const zeros = '0'.repeat(300_000)
    const texts = [
      `0.1${zeros}1`,
      `1e-${'9'.repeat(900_000)}`,
      `0.${'123456789'.repeat(100_000)}`,
      `1${zeros}1`,
      `-0.${zeros}${zeros}1`,
    ]
    for (const literal of texts) {
      const started = performance.now()
      assert.equal(refusal(`{"a":${literal}}`).status, 422)
      const ms = performance.now() - started
      assert.ok(ms < 2_000, `${literal.slice(0, 10)}… took ${ms} ms`)
    }
  })
})

describe('members', () => {
  test('are the source text, without the white space around it', () => {
    const { value, members } = parse(' { "a" : { "x" : 1.0 } ,\n"b":[1, 2] , "c":"\\u00e9", "d": -0 ,"":null } ')
    assert.deepEqual(
      [...members],
      [
        ['a', '{ "x" : 1.0 }'],
        ['b', '[1, 2]'],
        ['c', '"\\u00e9"'],
        ['d', '-0'],
        ['', 'null'],
      ],
    )
    assert.deepEqual(value, { a: { x: 1 }, b: [1, 2], c: 'é', d: -0, '': null })
  })
  test('are empty if the value is not an object', () => {
    for (const text of ['1', '"x"', 'null', '[]', '[{"a":1}]', ' true ']) assert.equal(parse(text).members.size, 0)
  })
  test('have their decoded names', () => assert.equal(parse('{"\\u0061":1,"b\\"c":2}').members.get('b"c'), '2'))
  test('of any object parse back to its values', () => {
    const texts = fc
      .json({ stringUnit: 'binary' })
      .filter((text) => !/(?<![\d.e+])\d{16,}(?![\d.e])|\\u0000|\\ud[89a-f]|__proto__|"prototype"/i.test(text))
    const names = fc.string({ unit: 'grapheme' }).filter((name) => name !== '__proto__' && name !== 'prototype')
    fc.assert(
      fc.property(fc.dictionary(names, texts), fc.constantFrom('', ' ', '\r\n\t'), (given, space) => {
        const text = `{${Object.entries(given)
          .map(([name, value]) => `${space}${JSON.stringify(name)}${space}:${space}${value}${space}`)
          .join(',')}}`
        const { members } = parse(text)
        assert.deepEqual(
          Object.fromEntries([...members].map(([name, member]) => [name, member])),
          Object.fromEntries(Object.entries(given).map(([name, value]) => [name, value.trim()])),
        )
      }),
    )
  })
  test('do not include a byte order mark', () => assert.equal(parse('\ufeff{"a":1}').members.get('a'), '1'))
})

describe('refused', () => {
  for (const text of [
    '',
    ' ',
    '{',
    '{"a":1,}',
    "{'a':1}",
    '01',
    '.5',
    '1.',
    '+1',
    'NaN',
    '{"a":1}x',
    '"\t"',
    '{"a" 1}',
    '\u00a0{}',
    '[1,,2]',
    '"\\x"',
  ]) {
    test(`400 for ${JSON.stringify(text)}`, () => {
      const problem = refusal(text)
      assert.deepEqual([problem.status, problem.code], [400, 'json.malformed'])
    })
  }
  for (const bytes of [
    [0xff],
    [0x22, 0xc0, 0x80, 0x22],
    [0x22, 0xed, 0xa0, 0x80, 0x22],
    [0x22, 0xf4, 0x90, 0x80, 0x80, 0x22],
    [0xff, 0xfe, 0x7b, 0x00],
  ]) {
    test(`400 for the bytes ${Buffer.from(bytes).toString('hex')}`, () =>
      assert.equal(refusal(Buffer.from(bytes)).code, 'json.malformed'))
  }
  const named: readonly (readonly [string, string, string])[] = [
    ['{"a":"\\u0000"}', 'a', 'contains the character U+0000'],
    ['["x",["\\u0000"]]', '[1][0]', 'contains the character U+0000'],
    ['"\\u0000"', '', 'contains the character U+0000'],
    ['{"a":"\\ud800"}', 'a', 'contains a lone surrogate'],
    ['{"a":"\\ud800\\ud800"}', 'a', 'contains a lone surrogate'],
    ['{"a":{"b":1,"b":2}}', 'a.b', 'is there twice'],
    ['{"a":[{},{"b c":1,"b c":2}]}', 'a[1]["b c"]', 'is there twice'],
    ['{"$id":1,"$id":2}', '$id', 'is there twice'],
    ['{"__proto__":1}', '__proto__', 'is a name that changes objects'],
    ['{"a":[{"\\u005f_proto__":{}}]}', 'a[0].__proto__', 'is a name that changes objects'],
    ['{"constructor":{"x":1,"prototype":{}}}', 'constructor.prototype', 'is a name that changes objects'],
  ]
  for (const [text, path, message] of named) {
    test(`422 at ${path || 'the top'} for ${text}`, () => {
      const problem = refusal(text)
      assert.deepEqual([problem.status, problem.errors?.[0]?.path], [422, path])
      assert.ok(problem.message.startsWith(`${path || 'body'} ${message}`), problem.message)
    })
  }
  test('escaped pairs, every other control character and an escaped backslash before u0000 are taken', () => {
    for (const text of ['"\\ud83e\\udded"', '"\\u0001\\u001f\\u007f"', '"\\\\u0000"', '{"\\\\":1,"\\\\\\\\":2}'])
      parse(text)
  })
  test(`nesting more than ${maxJsonDepth} deep, arrays and objects alike`, () => {
    const wrap = (depth: number, open: string, close: string) => `${open.repeat(depth)}1${close.repeat(depth)}`
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
    ] as const) {
      parse(wrap(maxJsonDepth, open, close))
      assert.equal(refusal(wrap(maxJsonDepth + 1, open, close)).status, 422)
      assert.equal(refusal(wrap(150_000, open, close)).status, 422)
    }
    parse(`[${'[],{},'.repeat(2_000)}[]]`)
  })
  test('a path of any length is reported in at most 201 characters', () => {
    const problem = refusal(`{"${'n'.repeat(5_000)}":{"x":1e999}}`)
    assert.ok((problem.errors?.[0]?.path.length ?? 999) <= 201)
  })
})

test('any bytes are either accepted or refused', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        fc.json().map((text) => Buffer.from(text)),
        fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
      ),
      (bytes) => {
        try {
          const { value } = parseExactJson(Buffer.from(bytes))
          assert.deepEqual(
            value,
            JSON.parse(
              Buffer.from(bytes)
                .toString()
                .replace(/^\ufeff/, ''),
            ),
          )
        } catch (error) {
          assert.ok(error instanceof Problem && [400, 422].includes(error.status), String(error))
        }
      },
    ),
    { numRuns: 2_000 },
  )
})
