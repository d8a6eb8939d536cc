import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { hintsOf } from '../../src/rendering/hints.ts'
import { labelOf, shapeOf } from '../../src/rendering/shape.ts'

describe('what a value is without a hint', () => {
  for (const [value, name, beside, is] of [
    [null, '', {}, 'nothing'],
    ['2026-01-31', 'day', {}, 'date'],
    ['2026-02-31', 'day', {}, 'line'],
    ['2026-01-31T09:00:00Z', 'at', {}, 'date'],
    ['https://shop.example/812', 'order', {}, 'url'],
    ['javascript:alert(1)', 'link', {}, 'line'],
    ['ana@example.com', 'to', {}, 'email'],
    [40, 'amount', { currency: 'EUR' }, 'money'],
    [40, 'amount', {}, 'number'],
    [4711, 'order', { currency: 'EUR' }, 'number'],
    ['DELETE FROM t', 'sql', {}, 'code'],
    ['rm -rf /tmp/x', 'command', {}, 'code'],
    ['const a = 1', 'content', { path: 'src/a.ts' }, 'code'],
    ['Dear Ana', 'content', {}, 'line'],
    ['a\nb', 'note', {}, 'text'],
    ['{"a":1,"b":[1,2,3],"c":2}', 'payload', {}, 'code'],
    [[{ a: 1 }, { a: 2, b: 3 }], 'rows', {}, 'table'],
    [[{ a: { b: {} } }], 'rows', {}, 'items'],
    [[1, 2], 'ids', {}, 'list'],
    [[], 'ids', {}, 'nothing'],
    [{ before: 'a', after: 'b' }, 'plan', {}, 'change'],
    [{ to: 'a@example.com', subject: 'x', body: 'y' }, 'mail', {}, 'mail'],
    [{ a: 1 }, 'x', {}, 'record'],
  ] as const) {
    test(`${JSON.stringify(value)} as ${name}: ${is}`, () => assert.equal(shapeOf(value, { name, beside }).is, is))
  }
})

test('names become labels, unless they are something else', () => {
  assert.deepEqual(['customer_id', 'customerId', 'since', 'A.b', 'src/main.ts', 'Two words'].map(labelOf), [
    'Customer ID',
    'Customer ID',
    'Since',
    'A.b',
    'src/main.ts',
    'Two words',
  ])
})

describe('hints', () => {
  const ask = (hints: unknown) =>
    hintsOf({ context: { a: { 'b/c': 1 }, old: 'x' }, action: { args: { body: 'y' } }, presentation: { hints } })
  test('lead into the context and the arguments', () => {
    const found = ask({
      '/context/a/b~1c': { render: 'money', currency: 'EUR' },
      '/action/args/body': { render: 'diff', before: '/context/old', label: 'Body' },
    })
    assert.equal(found.get('/context/a/b~1c')?.currency, 'EUR')
    assert.deepEqual([found.get('/action/args/body')?.before, found.get('/action/args/body')?.label], ['x', 'Body'])
  })
  test('that are none, or lead nowhere, are left out and break nothing', () => {
    for (const hints of [
      null,
      1,
      'x',
      [],
      { x: {} },
      { '/context/none': { render: 'sql' } },
      { '/title': {} },
      { '/context': 1 },
    ]) {
      assert.equal(ask(hints).size, 0, JSON.stringify(hints))
    }
    assert.equal(ask({ '/context/old': { render: 'hologram' } }).get('/context/old')?.render, null)
    assert.equal(ask({ '/context/__proto__': { render: 'sql' } }).size, 0)
  })
})
