import assert from 'node:assert/strict'
import { test } from 'node:test'
import '../wire.ts'

const { draftOf } = await import('../../src/questions/drafts.ts')
const { draftFrom, keptOf } = await import('../../src/questions/kept-draft.ts')

const untouched = draftOf('none')

test('what was begun is kept as it would be sent, and comes back as it was', () => {
  const begun = { comments: { reject: 'No.' }, choices: ['a'], data: { city: 'Rome' }, args: { to: 'b' } }
  const kept = keptOf({ ...untouched, ...begun })
  assert.deepEqual(kept, {
    decision: 'reject',
    comment: 'No.',
    choices: ['a'],
    data: { city: 'Rome' },
    args: { to: 'b' },
  })
  assert.deepEqual(draftFrom(kept), { ...begun, isEditing: true })
})

test('what was not begun, or is empty again, is nothing to keep', () => {
  assert.deepEqual(keptOf(untouched), {})
  assert.deepEqual(keptOf({ ...untouched, comments: { reject: '' } }), {})
})

test('what another program kept in another shape is left out', () => {
  for (const value of [null, 1, 'x', [1], [['a']], true]) {
    const { comments, ...rest } = draftFrom({
      decision: value,
      comment: [value],
      choices: [value, 2],
      data: value,
      args: value,
    })
    assert.deepEqual([comments, rest], [undefined, {}], JSON.stringify(value))
  }
})
