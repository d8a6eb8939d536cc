import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { maxJsonDepth } from '../../src/platform/json.ts'
import { isLine } from '../../src/platform/visible-text.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { type Receiver, startReceiver } from '../receivers.ts'

let t: TestApp
let receiver: Receiver
before(async () => {
  t = await startTestApp()
  receiver = await startReceiver()
})
after(async () => {
  await t.stop()
  await receiver.close()
})

const path = '/api/v1/requests'
const headers = { 'content-type': 'application/json' }

/** Sends `text` as context and metadata; returns the texts in the create reply, in get, in the list and in the callback. */
async function roundTrip(text: string) {
  const payload = `{"title":"x","context":${text},"callback_webhook":${JSON.stringify(receiver.url)},"metadata":${text}}`
  const created = await t.call('POST', path, { as: t.apiKey, payload, headers })
  assert.equal(created.status, 201, created.text)
  const { id } = created.body
  const read = await t.call('GET', `${path}/${id}`, { as: t.apiKey })
  const listed = await t.call('GET', `${path}?limit=1&fields=full`, { as: t.reviewer.token })
  const seen = receiver.requests.length
  await t.call('POST', `${path}/${id}/respond`, { as: t.reviewer.token, body: { decision: 'approve' } })
  await t.app.drain()
  const callback = receiver.requests[seen]
  assert.ok(callback)
  return { created, read, listed, callback: callback.body.toString('utf8') }
}

/** JSON.parse keeps -0 and every own key; deepStrictEqual distinguishes -0 from 0 and sees own __proto__ keys. */
async function comesBackEqual(text: string): Promise<void> {
  const sent: unknown = JSON.parse(text)
  const { created, read, listed, callback } = await roundTrip(text)
  assert.equal(listed.body.items[0].id, created.body.id)
  for (const shown of [created.body, read.body, listed.body.items[0]]) {
    assert.deepStrictEqual(shown.context, sent)
    assert.deepStrictEqual(shown.metadata, sent)
  }
  assert.deepStrictEqual(JSON.parse(callback).metadata, sent)
  // Equal character by character and not only once parsed, so that readers may use any parser.
  for (const shown of [created.text, read.text, listed.text]) {
    assert.ok(
      shown.includes(`"context":${text.trim()}`) && shown.includes(`"metadata":${text.trim()}`),
      'the text was rewritten',
    )
  }
  assert.ok(callback.includes(`"metadata":${text.trim()},`))
}

const planes = Array.from({ length: 17 }, (_, plane) =>
  String.fromCodePoint(
    (plane << 16) | 0x0020,
    (plane << 16) | 0x1f64,
    (plane << 16) | 0xfffd,
    (plane << 16) | 0xfffe,
    (plane << 16) | 0xffff,
  ),
).join('')
const controls = Array.from({ length: 31 }, (_, index) => `\\u${(index + 1).toString(16).padStart(4, '0')}`).join('')
const nested = (depth: number): string => `{"a":${'['.repeat(depth - 1)}0${']'.repeat(depth - 1)}}`
/** The body is one object around the context. */
const deepest = maxJsonDepth - 1

const kept: readonly (readonly [string, string])[] = [
  ['an empty object', '{}'],
  ['characters of all planes', JSON.stringify({ [planes]: planes })],
  ['every control character but NUL, escaped', `{"a":"${controls}"}`],
  ['every escape', '{"a":"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u00E9\\ud83e\\udded"}'],
  ['line and paragraph separators', '{"a":"\u2028\u2029\u0085\u00a0\ufeff"}'],
  ['combining and bidirectional characters, not normalised', '{"e\u0301":"\u202e\u200d","\u00e9":"\u212b"}'],
  ['minus zero', '{"a":-0,"b":-0.0,"c":-0e5}'],
  ['numbers with a needless fraction or exponent', '{"a":1.0,"b":1E5,"c":1e+5,"d":10e-1,"e":100.00}'],
  ['a tenth', '{"a":0.1,"b":0.30000000000000004}'],
  ['the smallest double', '{"a":5e-324,"b":-5E-324}'],
  ['the largest double', '{"a":1.7976931348623157e308,"b":-1.7976931348623157e+308}'],
  ['the largest safe integers', '{"a":9007199254740991,"b":-9007199254740991}'],
  ['large round numbers', '{"a":1e300,"b":1e20,"c":1.2345678901234568e20}'],
  ['zero with an enormous exponent', '{"a":0e999999999999,"b":0.000e-999999999999}'],
  ['literals', '{"a":true,"b":false,"c":null,"d":[],"e":{},"f":""}'],
  [
    'names that are dangerous in JavaScript',
    '{"proto":{"x":1},"constructor":{"name":1},"prototype":1,"toString":0,"hasOwnProperty":null}',
  ],
  [
    'names that are dangerous in SQL and JSON columns',
    '{"organization_id":"x","context":"x","metadata":{"id":1},"$1":"\'; drop table users"}',
  ],
  ['an empty name, and names of white space', '{"":{"":{"":1}}," ":1,"\\n":2}'],
  ['names that differ only in case or spelling', '{"a":1,"A":2,"\\u00e9":3,"e\\u0301":4}'],
  ['the same name in different objects', '{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}'],
  ['names like array indexes, in their order', '{"2":1,"1":2,"-1":3,"01":4}'],
  ['white space of every kind', ' \t\r\n{ \t"a"\r\n :\t[ 1 , \n2 ] ,"b" : { } }\n'],
  ['brackets and quotes inside strings', '{"a":"}],{[\\"","]":"{","\\\\":"\\\\"}'],
  [`nesting ${deepest} deep`, nested(deepest)],
  ['an array of 20 000 numbers', `{"a":[${Array.from({ length: 20_000 }, (_, index) => index / 8).join(',')}]}`],
  ['strings of nearly half a mebibyte each', JSON.stringify({ a: '\u{1F9ED}é"\\'.repeat(40_000) })],
]

describe('what an agent sends comes back equal', () => {
  for (const [what, text] of kept) test(what, () => comesBackEqual(text))

  test('a byte order mark before the body changes nothing', async () => {
    const payload = Buffer.from('\ufeff{"title":"x","context":{"a":1.0}}')
    const created = await t.call('POST', path, { as: t.apiKey, payload, headers })
    assert.ok(created.status === 201 && created.text.includes('"context":{"a":1.0}'), created.text)
  })

  test('any JSON value with any white space', async () => {
    const name = fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('constructor', '', 'length', 'toJSON'))
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 6, withCrossShrink: true },
        fc.constantFrom(null, true, false, -0, 0, 5e-324, Number.MAX_VALUE, Number.MAX_SAFE_INTEGER),
        // Integers beyond 2^53 - 1 are refused in plain digits, which JSON.stringify writes up to 1e21.
        fc
          .double({ noNaN: true, noDefaultInfinity: true })
          .filter((value) => !Number.isInteger(value) || Number.isSafeInteger(value) || Math.abs(value) >= 1e21),
        fc.integer(),
        fc.string({ unit: 'binary' }).filter((text) => !text.includes('\0')),
        fc.array(tie('tree'), { maxLength: 5 }),
        fc.array(fc.tuple(name, tie('tree')), { maxLength: 5 }).map((entries) => {
          // defineProperty, for an own __proto__.
          const made = {}
          for (const [key, value] of entries)
            Object.defineProperty(made, key, { value, enumerable: true, configurable: true, writable: true })
          return made
        }),
      ),
    }))
    const spacing = fc.constantFrom(undefined, 1, '\t')
    await fc.assert(
      fc.asyncProperty(fc.array(tree, { maxLength: 4 }), spacing, (values, space) =>
        comesBackEqual(JSON.stringify({ values }, null, space).replaceAll(/(?<=[[,:\s])0(?=[,\]}\s])/g, '-0')),
      ),
      { numRuns: 150 },
    )
  })
})

const lost: readonly (readonly [string, string, string])[] = [
  ['an integer that a double would round', '{"a":[1,{"b":9007199254740993}]}', 'context.a[1].b'],
  ['a fraction with too many digits', '{"price":0.1234567890123456789}', 'context.price'],
  ['a number beyond the doubles', '{"a":1e309}', 'context.a'],
  ['a number below the doubles', '{"a":1e-400}', 'context.a'],
  ['a subnormal that would be rounded', '{"a":5.1e-324}', 'context.a'],
  ['an enormous exponent', '{"a":-1e-99999999999999999999999}', 'context.a'],
  ['a NUL in a value', '{"a":"x\\u0000y"}', 'context.a'],
  ['a NUL in a name', '{"a":{"x\\u0000":1}}', 'context.a'],
  ['a lone high surrogate', '{"a":{"b":["\\ud83e"]}}', 'context.a.b[0]'],
  ['a lone low surrogate', '{"a":"\\udded\\ud83e"}', 'context.a'],
  ['a lone surrogate in a name', '{"\\ud800":1}', 'context'],
  ['a name twice', '{"a":{"x":1,"y":2,"x":1}}', 'context.a.x'],
  ['a name twice, spelled differently', '{"x":1,"\\u0078":1}', 'context.x'],
  ['a name that leads to prototypes', '{"a":[{"__proto__":{"x":1}}]}', 'context.a[0].__proto__'],
  ['such a name, spelled differently', '{"a":{"\\u005f_proto__":1}}', 'context.a.__proto__'],
  ['such a name in two steps', '{"constructor":{"prototype":1}}', 'context.constructor.prototype'],
  ['the empty name twice', '{"":1,"":2}', 'context[""]'],
  ['a name that needs quotes', '{"a b":{"ü":1e999}}', 'context["a b"]["ü"]'],
]

describe('422 naming the path for values that cannot be kept exactly', () => {
  for (const [what, text, where] of lost) {
    test(`${what}: ${where}`, async () => {
      const reply = await t.call('POST', path, { as: t.apiKey, payload: `{"title":"x","context":${text}}`, headers })
      assert.deepEqual(
        [reply.status, reply.body.code, reply.body.errors?.[0]?.path],
        [422, 'request.invalid', where],
        reply.text,
      )
      assert.ok(reply.body.detail.startsWith(where), reply.body.detail)
    })
  }

  test(`nesting ${deepest + 1} deep, and 300 000 deep`, async () => {
    for (const text of [nested(deepest + 1), nested(300_000)]) {
      const reply = await t.call('POST', path, { as: t.apiKey, payload: `{"title":"x","context":${text}}`, headers })
      assert.equal(reply.status, 422)
      assert.match(reply.body.detail, /^context\.a\[0\].* is nested more than 100 deep/)
    }
  })

  test('in metadata and in text fields too', async () => {
    for (const [body, where] of [
      ['{"title":"x","context":{},"metadata":{"n":1e999}}', 'metadata.n'],
      ['{"title":"a\\u0000","context":{}}', 'title'],
      ['{"title":"x","context":{},"description":"\\ud800"}', 'description'],
      ['{"title":"x","context":{},"timeout_minutes":60.00000000000000000001}', 'timeout_minutes'],
    ]) {
      const reply = await t.call('POST', path, { as: t.apiKey, payload: body ?? '', headers })
      assert.deepEqual([reply.status, reply.body.errors[0].path], [422, where])
    }
  })

  test('in a comment', async () => {
    const { id } = await t.createRequest()
    const payload = '{"decision":"approve","comment":"\\u0000"}'
    const reply = await t.call('POST', `${path}/${id}/respond`, { as: t.reviewer.token, payload, headers })
    assert.deepEqual([reply.status, reply.body.errors[0].path], [422, 'comment'])
    assert.equal((await t.call('GET', `${path}/${id}`, { as: t.apiKey })).body.state, 'pending')
  })
})

test('a comment and description of any characters, and a title of any in one line, come back equal', async () => {
  const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }).filter((value) => !value.includes('\0'))
  await fc.assert(
    fc.asyncProperty(text.filter(isLine), text, text, async (title, description, comment) => {
      const { id } = await t.createRequest({ title, description })
      await t.call('POST', `${path}/${id}/respond`, { as: t.reviewer.token, body: { decision: 'reject', comment } })
      const { body } = await t.call('GET', `${path}/${id}`, { as: t.apiKey })
      assert.deepEqual([body.title, body.description, body.response.comment], [title, description, comment])
    }),
    { numRuns: 60 },
  )
})
