import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { checkValue } from '../../src/questions/check/value-check.ts'
import { initialValue, schemaOfArgs, schemaOfValue, shownFields } from '../../src/questions/form/shown-fields.ts'

const names = (schema: object, value: unknown) =>
  shownFields(schema as never, schema as never, value).map(({ name }) => name)

describe('which fields a form shows', () => {
  const form = {
    type: 'object',
    properties: {
      reason: { type: 'string' },
      kind: { enum: ['card', 'bank'], 'x-order': -1 },
      iban: { type: 'string' },
      last4: { type: 'string' },
    },
    required: ['kind'],
    if: { properties: { kind: { const: 'bank' } }, required: ['kind'] },
    // biome-ignore lint/suspicious/noThenProperty: the keyword of JSON Schema
    then: { required: ['iban'] },
    else: { properties: { last4: { minLength: 4 } } },
  }
  test('in the order it asks for, and of a condition the branch that holds', () => {
    assert.deepEqual(names(form, {}), ['kind', 'reason', 'last4'])
    assert.deepEqual(names(form, { kind: 'bank' }), ['kind', 'reason', 'iban'])
  })
  test('what has a value stays, so that nothing is sent unseen', () => {
    assert.deepEqual(names(form, { kind: 'bank', last4: '1234' }), ['kind', 'reason', 'iban', 'last4'])
  })
  test('a branch makes fields required, and adds what it says of them', () => {
    const iban = shownFields(form as never, form as never, { kind: 'bank' }).find(({ name }) => name === 'iban')
    const last4 = shownFields(form as never, form as never, { kind: 'card' }).find(({ name }) => name === 'last4')
    assert.deepEqual([iban?.isRequired, last4?.schema.minLength], [true, 4])
  })
})

test('a form begins with its defaults, and with nothing that nobody chose', () => {
  const form = {
    type: 'object',
    properties: {
      a: { type: 'number', default: 3 },
      b: { type: 'boolean' },
      c: { const: 'v1' },
      d: { type: 'object', properties: { e: { type: 'string', default: 'x' } } },
      f: { type: 'array', items: { type: 'string' } },
      g: { $ref: '#/$defs/g' },
    },
    required: ['b', 'c', 'd', 'f'],
    $defs: { g: { type: 'string', default: 'of g' } },
  }
  assert.deepEqual(initialValue(form, form), { a: 3, c: 'v1', d: { e: 'x' }, f: [], g: 'of g' })
})

describe('over the corpus of schemas', () => {
  const corpus: { accepted: { name: string; schema: Record<string, unknown>; valid: unknown[] }[] } = JSON.parse(
    readFileSync(new URL('../../../server/test/consultations/corpus/answer-schemas.json', import.meta.url), 'utf8'),
  )
  test('every form has a beginning, and shows every member of every right answer', () => {
    for (const { name, schema, valid } of corpus.accepted) {
      initialValue(schema, schema)
      const properties = Object.keys((schema.properties ?? {}) as object)
      for (const value of valid) {
        const shown = new Set(names(schema, value))
        const unseen = Object.keys(value as object).filter(
          (member) => properties.includes(member) && !shown.has(member),
        )
        assert.deepEqual(unseen, [], `${name}: ${JSON.stringify(value)}`)
      }
    }
  })
  test('the schema made of arguments takes these arguments', () => {
    for (const { name, schema, valid } of corpus.accepted) {
      for (const value of valid) {
        const made = schemaOfValue(value)
        assert.deepEqual(checkValue(made, value), [], `${name}: ${JSON.stringify(value)}`)
        assert.deepEqual(checkValue(schema, value, schemaOfArgs(schema, schema, value)), [], name)
      }
    }
  })
})
