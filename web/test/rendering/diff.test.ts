import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { compare, readPatch } from '../../src/rendering/diff/lines.ts'
import { plainLines } from '../../src/rendering/diff/plain-lines.ts'
import { hunksOf, partsOf, rowsOf } from '../../src/rendering/diff/rows.ts'

const numbered = (count: number, change: (at: number) => string = (at) => `line ${at}`): string =>
  Array.from({ length: count }, (_, at) => change(at)).join('\n')

describe('a comparison', () => {
  test('names each line by its numbers on both sides, and pairs what changed', () => {
    assert.deepEqual(
      compare('a\nold\nc', 'a\nnew\nc\nd', 1_000).lines.map(({ kind, text, before, after, pair }) => [
        kind,
        text,
        before,
        after,
        pair,
      ]),
      [
        ['same', 'a', 1, 1, null],
        ['removed', 'old', 2, null, 'new'],
        ['added', 'new', null, 2, 'old'],
        ['same', 'c', 3, 3, null],
        ['added', 'd', null, 4, null],
      ],
    )
  })
  test('gives back both texts, whatever they are', () => {
    let seed = 7
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
      return Math.floor((seed / 2_147_483_648) * below)
    }
    for (let run = 0; run < 200; run += 1) {
      const [before, after] = [0, 1].map(() => Array.from({ length: 1 + random(12) }, () => `l${random(4)}`).join('\n'))
      const { lines } = compare(before ?? '', after ?? '', 1_000)
      const side = (out: string): string =>
        lines
          .filter(({ kind }) => kind !== out)
          .map(({ text }) => text)
          .join('\n')
      assert.deepEqual([side('added'), side('removed')], [before, after])
    }
  })
  test('50 000 lines with changes all over take less than a second', () => {
    const startedAt = performance.now()
    const after = numbered(50_000, (at) => (at % 500 === 0 ? `changed ${at}` : `line ${at}`))
    const { lines, isCoarse } = compare(numbered(50_000), after, 5_000)
    assert.equal(isCoarse, false)
    assert.equal(lines.filter(({ kind }) => kind === 'added').length, 100)
    const rows = rowsOf(lines, 'split', new Set())
    assert.equal(hunksOf(rows).length, 100)
    assert.ok(performance.now() - startedAt < 4_000, `${performance.now() - startedAt} ms`)
  })
  test('two texts with nothing in common end in time, and say so', () => {
    const startedAt = performance.now()
    const { lines, isCoarse } = compare(
      numbered(30_000, (at) => `a ${at}`),
      numbered(30_000, (at) => `b ${at}`),
      200,
    )
    assert.equal(isCoarse, true)
    assert.equal(lines.length, 60_000)
    assert.ok(performance.now() - startedAt < 3_000)
  })
})

describe('rows', () => {
  const { lines } = compare(
    numbered(100),
    numbered(100, (at) => (at === 50 ? 'other' : `line ${at}`)),
    1_000,
  )
  test('what stayed the same is folded, but for three lines around a change', () => {
    const rows = rowsOf(lines, 'unified', new Set())
    assert.deepEqual(
      rows.map((row) => (row.is === 'fold' ? row.count : row.is === 'line' ? row.line.kind : '')),
      [47, 'same', 'same', 'same', 'removed', 'added', 'same', 'same', 'same', 46],
    )
    assert.deepEqual(hunksOf(rows), [4])
  })
  test('a fold opens', () => {
    assert.equal(rowsOf(lines, 'unified', new Set([0])).length, 9 + 47)
  })
  test('side by side, the two forms of a line share a row', () => {
    const pair = rowsOf(lines, 'split', new Set()).find((row) => row.is === 'pair' && row.before?.kind === 'removed')
    assert.ok(pair?.is === 'pair' && pair.before?.text === 'line 50' && pair.after?.text === 'other')
  })
  test('the words that changed are marked, and only they', () => {
    const line = compare('status: "paid" in EUR', 'status: "refunded" in EUR', 1_000).lines[0]
    assert.ok(line !== undefined)
    assert.deepEqual(
      partsOf(line)
        .filter(({ isChanged }) => isChanged)
        .map(({ text }) => text),
      ['paid'],
    )
  })
})

test('a unified diff is read with its numbers, and what is no line of it is a note', () => {
  const patch =
    'diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@ head\n same\n-old\n+new\n--- a/y\n+++ b/y\n@@ -5 +5 @@\n-p\n+q'
  assert.deepEqual(
    readPatch(patch).map(({ kind, before, after }) => [kind, before, after]),
    [
      ['note', null, null],
      ['note', null, null],
      ['note', null, null],
      ['note', null, null],
      ['same', 1, 1],
      ['removed', 2, null],
      ['added', null, 2],
      ['note', null, null],
      ['note', null, null],
      ['note', null, null],
      ['removed', 5, null],
      ['added', null, 5],
    ],
  )
})

test('a value in lines names each of its parts', () => {
  assert.equal(
    plainLines({ currency: 'EUR', status: 'paid', lines: [{ sku: 1 }], none: null, text: 'a\nb' }),
    'currency: "EUR"\nstatus: "paid"\nlines:\n  1:\n    sku: 1\nnone: null\ntext:\n  a\n  b',
  )
})
