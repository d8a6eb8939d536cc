import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { pointerOf } from '../../../src/consultations/questions/json-pointer.ts'
import { metaSchema } from '../../../src/consultations/questions/meta-schema.ts'
import { readSchema } from '../../../src/consultations/questions/schema-subset.ts'
import { checkValue } from '../../../src/consultations/questions/value-check.ts'

/** Data, so that the inbox's validator in the browser can be held to the same. */
interface Corpus {
  readonly accepted: readonly {
    readonly name: string
    readonly schema: unknown
    readonly valid: readonly unknown[]
    readonly invalid: readonly unknown[]
  }[]
  /** `at`: the pointer of what is refused. */
  readonly refused: readonly { readonly name: string; readonly schema: unknown; readonly at: string }[]
}
const corpus: Corpus = JSON.parse(readFileSync(new URL('../corpus/answer-schemas.json', import.meta.url), 'utf8'))

// As decimals, to nine places: the library divides doubles, of which 0.07 is no multiple of 0.01.
const ajv = new Ajv2020({ strict: false, ownProperties: true, multipleOfPrecision: 9 })
addFormats.default(ajv)
const fitsMetaSchema = new Ajv2020({ strict: true, allowUnionTypes: true, strictRequired: false }).compile(metaSchema)

test('the corpus has at least 150 schemas and 600 answers', () => {
  const answers = corpus.accepted.flatMap(({ valid, invalid }) => [...valid, ...invalid])
  assert.ok(corpus.accepted.length >= 150 && corpus.refused.length >= 150)
  assert.ok(answers.length >= 600, String(answers.length))
})

for (const { name, schema, valid, invalid } of corpus.accepted) {
  test(`accepted: ${name}; answers are judged as by Ajv`, () => {
    const reading = readSchema(schema)
    assert.ok('read' in reading, JSON.stringify(reading))
    assert.ok(fitsMetaSchema(schema), JSON.stringify(fitsMetaSchema.errors))
    const fits = ajv.compile(schema as object)
    for (const [expected, values] of [
      [true, valid],
      [false, invalid],
    ] as const) {
      for (const value of values) {
        const flaws = checkValue(reading.read, value)
        assert.deepEqual([flaws.length === 0, fits(value)], [expected, expected], JSON.stringify([value, flaws]))
      }
    }
  })
}

for (const { name, schema, at } of corpus.refused) {
  test(`refused: ${name}`, () => {
    const reading = readSchema(schema)
    assert.ok('flaws' in reading)
    const found = reading.flaws.map(({ place }) => pointerOf(place))
    assert.ok(found.includes(at), JSON.stringify(reading.flaws))
    assert.ok(reading.flaws.every(({ message }) => message !== '' && !message.includes('undefined')))
  })
}

test('the published schema refuses what a schema can say of another', () => {
  const refusedToo = corpus.refused.filter(({ schema }) => !fitsMetaSchema(schema)).map(({ name }) => name)
  const unknown = corpus.refused
    .map(({ name }) => name)
    .filter((name) => /^(?:at the top|in a property|no schema): /.test(name))
  assert.deepEqual(
    unknown.filter((name) => !refusedToo.includes(name)),
    [],
  )
  assert.ok(refusedToo.length >= 90, String(refusedToo.length))
})

test('an answer as large as a body may be is checked in a blink', () => {
  const choices = Array.from({ length: 500 }, (_, at) => ({ const: `choice ${at}`, title: 'x' }))
  for (const [schema, value] of [
    [{ type: 'array', items: { oneOf: choices } }, Array.from({ length: 60_000 }, () => 'choice 499')],
    [{ type: 'array', items: { type: 'number', multipleOf: 1e-300 } }, Array.from({ length: 40_000 }, () => 1e300)],
    [{ type: 'array', uniqueItems: true, items: { type: 'integer' } }, Array.from({ length: 60_000 }, (_, at) => at)],
    [{ type: 'string', format: 'email' }, `${'a.'.repeat(120_000)}@`],
    [{ type: 'string', format: 'uri' }, `a:${'/'.repeat(240_000)} `],
  ] as const) {
    const reading = readSchema({ type: 'object', properties: { v: schema } })
    assert.ok('read' in reading, JSON.stringify(reading))
    const { user } = process.cpuUsage()
    checkValue(reading.read, { v: value })
    const milliseconds = (process.cpuUsage().user - user) / 1_000
    assert.ok(milliseconds < 500, `${JSON.stringify(schema).slice(0, 60)}: ${milliseconds} ms`)
  }
})
