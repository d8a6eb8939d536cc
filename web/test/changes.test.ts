import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Request, RequestPage } from '../src/api/requests.ts'
import { type ListRules, withChanges } from '../src/live/merge.ts'

const request = (id: string, updated_at = '1', state = 'pending') => ({ id, updated_at, state }) as Request
const page = (items: readonly Request[], next_cursor: string | null) => ({ items, next_cursor }) as RequestPage
const rules: ListRules = {
  name: 'all',
  fits: ({ state }) => state === 'pending',
  compare: (one, other) => (one.id < other.id ? -1 : 1),
}
const now = new Date()
const list = (next: string | null) => ({
  pages: [page([request('a'), request('c')], 'x'), page([request('e')], next)],
  pageParams: [null, 'x'],
})
const idsOf = ({ pages }: { readonly pages: readonly RequestPage[] }) =>
  pages.map(({ items }) => items.map(({ id }) => id))

test('a changed request stays in its place, even when it no longer fits', () => {
  const { pages } = withChanges(list(null), [request('c', '2', 'responded')], rules, now)
  assert.deepEqual(idsOf({ pages }), [['a', 'c'], ['e']])
  assert.equal(pages[0]?.items[1]?.state, 'responded')
})

test('an older version changes nothing', () => {
  const { pages } = withChanges(list(null), [request('c', '0', 'responded')], rules, now)
  assert.equal(pages[0]?.items[1]?.state, 'pending')
})

test('a new one goes where the order of the service puts it', () => {
  assert.deepEqual(idsOf(withChanges(list(null), [request('b'), request('d')], rules, now)), [
    ['a', 'b', 'c'],
    ['d', 'e'],
  ])
})

test('thousands of requests and changes are compared a few times each', () => {
  let compared = 0
  const compare: ListRules['compare'] = (one, other) => {
    compared += 1
    return rules.compare(one, other)
  }
  const named = (number: number) => String(number).padStart(6, '0')
  const pages = Array.from({ length: 100 }, (_, at) =>
    page(
      Array.from({ length: 100 }, (_, each) => request(named(2 * (100 * at + each)))),
      at === 99 ? null : 'x',
    ),
  )
  const changed = Array.from({ length: 500 }, (_, at) => request(named(40 * at + 1)))
  const after = idsOf(withChanges({ pages, pageParams: [] }, changed, { ...rules, compare }, now)).flat()
  assert.deepEqual(after, after.toSorted())
  assert.equal(after.length, 10_500)
  assert.ok(compared < 500 * 250, `${compared} comparisons`)
})

test('behind the end: only if there is no page to come that would bring it', () => {
  assert.deepEqual(idsOf(withChanges(list(null), [request('f')], rules, now)), [
    ['a', 'c'],
    ['e', 'f'],
  ])
  assert.deepEqual(idsOf(withChanges(list('y'), [request('f')], rules, now)), [['a', 'c'], ['e']])
})

test('one that does not fit is not taken in', () => {
  assert.deepEqual(idsOf(withChanges(list(null), [request('b', '1', 'responded')], rules, now)), [['a', 'c'], ['e']])
})
