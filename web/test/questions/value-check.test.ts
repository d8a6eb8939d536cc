import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { typeFlaws } from '../../src/questions/check/edited-args.ts'
import { checkValue } from '../../src/questions/check/value-check.ts'
import { pointerOf } from '../../src/rendering/pointer.ts'

/** The service's corpus: each schema, and each answer with how the service judges it. */
interface Corpus {
  readonly accepted: readonly {
    readonly name: string
    readonly schema: Readonly<Record<string, unknown>>
    readonly valid: readonly unknown[]
    readonly invalid: readonly unknown[]
  }[]
}
const corpus: Corpus = JSON.parse(
  readFileSync(new URL('../../../server/test/consultations/corpus/answer-schemas.json', import.meta.url), 'utf8'),
)

test('the corpus is there', () => {
  const answers = corpus.accepted.flatMap(({ valid, invalid }) => [...valid, ...invalid])
  assert.ok(corpus.accepted.length >= 150 && answers.length >= 600, `${corpus.accepted.length}, ${answers.length}`)
})

describe('every answer of the corpus is judged as the service judges it', () => {
  for (const { name, schema, valid, invalid } of corpus.accepted) {
    test(name, () => {
      for (const value of valid) assert.deepEqual(checkValue(schema, value), [], JSON.stringify(value))
      for (const value of invalid) assert.ok(checkValue(schema, value).length > 0, JSON.stringify(value))
    })
  }
})

test('a pattern that takes the browser for ever takes this no time', () => {
  const schema = { type: 'object', properties: { v: { type: 'string', pattern: '^(a+)+$' } } }
  const startedAt = performance.now()
  assert.equal(checkValue(schema, { v: `${'a'.repeat(60)}!` }).length, 1)
  assert.ok(performance.now() - startedAt < 1_000)
})

test('a text too long for its pattern is told so, and not looked at', () => {
  const schema = { type: 'object', properties: { v: { type: 'string', pattern: '^([a-z]{1,20}-){1,20}$' } } }
  assert.deepEqual(
    checkValue(schema, { v: 'a-'.repeat(100_000) }).map(({ place }) => pointerOf(place)),
    [''],
  )
})

describe('edited arguments keep their types, as in the service', () => {
  const args = { to: ['a@example.com'], amount: 40, dry: false, note: null, deep: { n: 1, list: [] as unknown[] } }
  const at = (edited: unknown, hasSchema = false) =>
    typeFlaws(args, JSON.parse(JSON.stringify(edited)), hasSchema).map(({ place }) => pointerOf(place))
  for (const [what, edited, free, bound] of [
    ['nothing changed', args, [], []],
    ['other values', { ...args, amount: 30, dry: true, to: ['b@example.com'] }, [], []],
    ['a number as text', { ...args, amount: '30' }, ['/amount'], ['/amount']],
    ['null for a value', { ...args, amount: null }, ['/amount'], []],
    ['a value for null', { ...args, note: 'x' }, ['/note'], []],
    ['a list for an object', { ...args, deep: [] }, ['/deep'], ['/deep']],
    ['one member more', { ...args, extra: 'x' }, ['/extra'], []],
    ['one member less', { to: args.to, amount: 1, dry: true, note: null }, ['/deep'], []],
    ['an entry more', { ...args, to: ['a', 'b'] }, [], []],
    ['an entry of another type', { ...args, to: ['a', 1] }, ['/to/1'], []],
    ['no entry', { ...args, to: [] }, [], []],
    ['an entry of an empty list', { ...args, deep: { n: 1, list: [1] } }, ['/deep/list/0'], []],
    ['no object', 'x', [''], ['']],
  ] as const) {
    test(what, () => {
      assert.deepEqual(at(edited), free)
      assert.deepEqual(at(edited, true), bound)
    })
  }
})
