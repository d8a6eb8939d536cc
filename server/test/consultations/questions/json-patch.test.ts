import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Operation, patchBetween } from '../../../src/consultations/questions/json-patch.ts'
import { placeOf, pointerOf } from '../../../src/consultations/questions/json-pointer.ts'

/** RFC 6902, of which it is enough here. */
function apply(value: unknown, operations: readonly Operation[]): unknown {
  let root = structuredClone(value)
  for (const operation of operations) {
    const place = placeOf(operation.path)
    assert.ok(place !== null, operation.path)
    const last = place.at(-1)
    if (last === undefined) {
      assert.equal(operation.op, 'replace')
      root = 'value' in operation ? structuredClone(operation.value) : undefined
      continue
    }
    const parent = place.slice(0, -1).reduce<unknown>((at, name) => (at as Record<string, unknown>)[name], root)
    const isThere = Object.hasOwn(parent as object, last)
    if (Array.isArray(parent)) {
      const at = Number(last)
      assert.ok(String(at) === last && at <= parent.length && (operation.op === 'add' || isThere), operation.path)
      if (operation.op === 'remove') parent.splice(at, 1)
      else parent.splice(at, operation.op === 'add' ? 0 : 1, structuredClone(operation.value))
    } else {
      const members = parent as Record<string, unknown>
      assert.equal(isThere, operation.op !== 'add', operation.path)
      if (operation.op === 'remove') delete members[last]
      else members[last] = structuredClone(operation.value)
    }
  }
  return root
}

const name = fc.constantFrom('a', 'b', 'c', '', 'a/b', '~', '~1', '0', 'x.y')
const { value: json } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom<unknown>(null, true, 0, 1, 1.5, '', 'x'),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(name, tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
}))

test('a patch leads from any value to any other', () => {
  fc.assert(
    fc.property(json, json, (before, after) => {
      assert.deepEqual(apply(before, patchBetween(before, after)), after)
    }),
    { numRuns: 3_000 },
  )
})

test('of what is equal there is no operation, and of one change one', () => {
  const before = { to: ['a', 'b', 'c'], amount: 1, deep: { 'a/b': { '~': [1, 2] } } }
  assert.deepEqual(patchBetween(before, structuredClone(before)), [])
  assert.deepEqual(patchBetween(before, { ...before, amount: 2 }), [{ op: 'replace', path: '/amount', value: 2 }])
  assert.deepEqual(patchBetween(before, { ...before, to: ['a', 'c'] }), [{ op: 'remove', path: '/to/1' }])
  assert.deepEqual(patchBetween(before, { ...before, to: ['a', 'x', 'b', 'c'] }), [
    { op: 'add', path: '/to/1', value: 'x' },
  ])
  assert.deepEqual(patchBetween(before, { ...before, deep: { 'a/b': { '~': [1, 3] } } }), [
    { op: 'replace', path: '/deep/a~1b/~0/1', value: 3 },
  ])
})

test('a list that was turned round takes time in proportion', () => {
  const list = Array.from({ length: 50_000 }, (_, at) => at)
  assert.equal(patchBetween(list, list.toReversed()).length, 50_000)
})

test('pointers name any place, and nothing else is one', () => {
  fc.assert(fc.property(fc.array(fc.string()), (place) => assert.deepEqual(placeOf(pointerOf(place)), place)))
  for (const text of ['a', '/~', '/~2', 'a/b', '#/a']) assert.equal(placeOf(text), null, text)
})
