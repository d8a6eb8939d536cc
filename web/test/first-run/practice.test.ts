import assert from 'node:assert/strict'
import { test } from 'node:test'
import { practiceRequests } from '../../src/first-run/practice-requests.ts'
import { hintsOf, type Shown } from '../../src/rendering/hints.ts'

test('every hint of the practice requests leads to a value, and each diff to a text before it', () => {
  let diffs = 0
  for (const { title, context, action = null, presentation = null } of practiceRequests()) {
    const given = Object.keys(presentation?.hints ?? {})
    const found = hintsOf({ context, action, presentation } as Shown)
    assert.deepEqual([...found.keys()], given, title)
    for (const { render, before } of found.values()) {
      if (render !== 'diff') continue
      diffs += 1
      assert.equal(typeof before, 'string', title)
    }
  }
  assert.equal(diffs, 1)
})
