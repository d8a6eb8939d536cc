import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bounded, type Entry, isKept, keptMs, mostBytes } from '../../src/offline/seen.ts'

const now = Date.UTC(2026, 8, 1)
const entry = (key: readonly unknown[], text = '{}', ago = 0): Entry => ({ key, text, at: now - ago })
const keys = (entries: readonly Entry[]) => entries.map(({ key }) => key.join(' '))

test('what was seen last is kept: the newer one of two, nothing that is old, lists before single requests', () => {
  const found = bounded(
    [
      entry(['request', 'a'], 'old', 9),
      entry(['request', 'b'], 'b', keptMs + 1),
      entry(['person', 'p']),
      entry(['request', 'c'], 'c', 5),
      entry(['requests', 'all']),
      entry(['request', 'a'], 'new', 3),
      entry(['organization']),
    ],
    now,
  )
  assert.deepEqual(keys(found), ['organization', 'requests all', 'request a', 'request c', 'person p'])
  assert.equal(found.find(({ key }) => key[1] === 'a')?.text, 'new')
})

test('it takes no more than its bytes: what does not fit is left out, and a smaller one behind it is not', () => {
  const third = 'x'.repeat(mostBytes / 2 / 3 - 9)
  const many = [1, 2, 3, 4].map((number) => entry(['request', number], third, number))
  const found = bounded([...many, entry(['person', 'p'], 'p'), entry(['request', 'huge'], 'x'.repeat(mostBytes))], now)
  assert.deepEqual(keys(found), ['request 1', 'request 2', 'request 3', 'person p'])
  assert.ok(found.reduce((sum, { text }) => sum + text.length * 2, 0) <= mostBytes)
})

test('files, the audit, drafts and settings are not kept', () => {
  for (const name of ['file', 'events', 'draft', 'sessions', 'keys', 'constructor'])
    assert.equal(isKept([name, 'x']), false)
})
