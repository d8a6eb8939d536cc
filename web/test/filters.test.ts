import assert from 'node:assert/strict'
import { test } from 'node:test'
import './wire.ts'

const { addressOf, queryOf, sameQuery } = await import('../src/views/address.ts')
const { dayOf, filtersOf, instantOf } = await import('../src/views/filters.ts')

test('a view keeps every filter of its list, also those that the inbox has no words for', () => {
  const filters = { risk: 'high,critical', 'metadata.run': '47,11', decision: 'reject', a_later_one: 'x', q: 'a b*' }
  const address = { queue: 'all', filters }
  assert.deepEqual(addressOf(queryOf(address)), address)
  assert.deepEqual(addressOf('tag=x'), { queue: null, filters: { tag: 'x' } })
  assert.ok(sameQuery('tag=x&risk=low&queue=all', 'queue=all&risk=low&tag=x'))
  assert.ok(!sameQuery('tag=x', 'tag=x&decision=reject'))
})

test('an address is read as text, without what is empty or about one page; a search for nothing is a box that is open', () => {
  const search = { run_id: 4711, tag: '', limit: 5, cursor: 'x', queue: 'done', risk: 'low', sort: ['due'], q: '' }
  assert.deepEqual(filtersOf(search), { run_id: '4711', risk: 'low', q: '' })
})

test('a day of the person is a time for the service, and back', () => {
  assert.equal(dayOf(instantOf('2026-01-31')), '2026-01-31')
  assert.equal(dayOf(instantOf('2026-10-25')), '2026-10-25')
  for (const none of [undefined, '', 'yesterday']) assert.equal(dayOf(none), '')
})
