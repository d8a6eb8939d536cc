import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBoundedMap } from '../../src/platform/bounded-map.ts'

test('a bounded map keeps at most as many entries as it was made for', () => {
  const map = createBoundedMap<string, number>(3)
  for (let n = 1; n <= 100; n += 1) {
    map.set(`key ${n}`, n)
    assert.equal(map.get(`key ${n}`), n)
    assert.ok([...map.keys()].length <= 3)
  }
})

test('long keys cannot fill the memory either: on average they may have 256 characters', () => {
  const map = createBoundedMap<string, number>(100)
  for (let n = 1; n <= 100; n += 1) {
    map.set(String(n).padEnd(15_000, 'x'), n)
    assert.ok([...map.keys()].join('').length <= 25_600)
  }
  for (let n = 1; n <= 100; n += 1) map.delete(String(n).padEnd(15_000, 'x'))
  for (let n = 1; n <= 100; n += 1) map.set(String(n).padEnd(256, 'x'), n)
  assert.equal([...map.keys()].length, 100)
})

test('an entry that is set again counts once', () => {
  const map = createBoundedMap<string, number>(2)
  map.set('a', 1)
  map.set('b', 2)
  map.set('b', 3)
  assert.deepEqual([map.get('a'), map.get('b')], [1, 3])
})
