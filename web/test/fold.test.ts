import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import './wire.ts'

import type { Request } from '../src/api/requests.ts'

const { foldAlike, runsOf } = await import('../src/inbox/fold.ts')

/** One letter a request: the same letter is the same question; a capital one is of high risk. */
const list = (letters: string): readonly Request[] =>
  [...letters].map(
    (letter, at) =>
      ({
        id: `${letter}${at}`,
        agent_id: 'agent',
        digest: letter,
        risk: letter === letter.toUpperCase() ? 'high' : 'low',
      }) as Request,
  )
const fold = (letters: string, unfolded: readonly string[] = [], current?: string) => {
  const runs = runsOf(list(letters))
  const read = current === undefined ? undefined : runs.hidden.get(current)
  const { shown, folds } = foldAlike(runs, new Set(unfolded.map((letter) => `agent ${letter}`)), read)
  return [shown.map(({ id }) => id).join(' '), [...folds].map(([id, { count }]) => `${id}+${count}`).join(' ')]
}

describe('identical requests that follow one another', () => {
  test('are one row from three on, wherever they are', () => {
    assert.deepEqual(fold(''), ['', ''])
    assert.deepEqual(fold('abc'), ['a0 b1 c2', ''])
    assert.deepEqual(fold('aab'), ['a0 a1 b2', ''])
    assert.deepEqual(fold('aaabbbb'), ['a0 b3', 'a0+2 b3+3'])
    assert.deepEqual(fold('aabaa'), ['a0 a1 b2 a3 a4', ''])
  })

  test('are shown when the person unfolds them, or reads one of them', () => {
    assert.deepEqual(fold('xaaa', ['a']), ['x0 a1 a2 a3', 'a1+2'])
    assert.deepEqual(fold('xaaa', [], 'a1'), ['x0 a1', 'a1+2'])
    assert.deepEqual(fold('xaaa', [], 'a3'), ['x0 a1 a2 a3', ''])
    assert.deepEqual(fold('xaaabbb', ['b'], 'a3'), ['x0 a1 a2 a3 b4 b5 b6', 'b4+2'])
  })

  test('of high risk are never folded', () => {
    assert.deepEqual(fold('AAAA'), ['A0 A1 A2 A3', ''])
  })
})
