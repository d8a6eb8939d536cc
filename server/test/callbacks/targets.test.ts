import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { createTargets, type Targets } from '../../src/callbacks/targets.ts'

/** Reserves as often as it can, at most `wanted` times. */
function take(targets: Targets, target: string, wanted = 1_000): number {
  let taken = 0
  while (taken < wanted && targets.reserve(target)) taken += 1
  return taken
}

function give(targets: Targets, target: string, count: number, trouble: boolean | null): void {
  for (let given = 0; given < count; given += 1) targets.release(target, trouble)
}

describe('slots', () => {
  test('a target gets as many as one target may have, another still gets its own', () => {
    const targets = createTargets({ perTarget: 3, total: 5 })
    assert.equal(take(targets, 'a'), 3)
    assert.equal(take(targets, 'b'), 2, 'the total is used up')
    assert.equal(targets.free(), 0)
    targets.release('a', false)
    assert.equal(take(targets, 'b'), 1)
  })

  test('a slot given back is free again, whatever was learned', () => {
    for (const trouble of [true, false, null]) {
      const targets = createTargets({ perTarget: 2, total: 2 })
      assert.equal(take(targets, 'a'), 2)
      give(targets, 'a', 2, trouble)
      assert.equal(targets.free(), 2)
      assert.equal(take(targets, 'a'), 2)
    }
  })

  test('giving back what was never taken changes nothing', () => {
    const targets = createTargets({ perTarget: 2, total: 2 })
    targets.release('a', true)
    assert.equal(targets.free(), 2)
  })

  test('by default 64 to one target and 1 024 in all', () => {
    const targets = createTargets()
    const taken = Array.from({ length: 20 }, (_, at) => take(targets, `target ${at}`))
    assert.deepEqual(taken, [...Array(16).fill(64), 0, 0, 0, 0])
  })
})

describe('the breaker', () => {
  /** A target with so many failures in a row, none in flight. */
  function failing(failures: number): Targets {
    const targets = createTargets({ perTarget: 8, total: 16, openAfter: 3 })
    for (let failed = 0; failed < failures; failed += 1) {
      assert.ok(targets.reserve('a'))
      targets.release('a', true)
    }
    return targets
  }

  test('stays closed below its number of failures in a row', () => {
    assert.equal(take(failing(2), 'a'), 8)
  })

  test('open: one probe at a time', () => {
    const targets = failing(3)
    assert.equal(take(targets, 'a'), 1)
    targets.release('a', true)
    assert.equal(take(targets, 'a'), 1)
    assert.equal(take(targets, 'b'), 8, 'another target is not concerned')
  })

  test('closes with the first success', () => {
    const targets = failing(7)
    assert.equal(take(targets, 'a'), 1)
    targets.release('a', false)
    assert.equal(take(targets, 'a'), 8)
  })

  test('a probe that taught nothing neither opens nor closes', () => {
    const open = failing(3)
    take(open, 'a')
    open.release('a', null)
    assert.equal(take(open, 'a'), 1)
    const closed = failing(2)
    closed.reserve('a')
    closed.release('a', null)
    assert.equal(take(closed, 'a'), 8)
  })

  test('one success in between starts the count anew', () => {
    const targets = failing(2)
    targets.reserve('a')
    targets.release('a', false)
    targets.reserve('a')
    targets.release('a', true)
    assert.equal(take(targets, 'a'), 8)
  })

  test('opened by deliveries that were under way together, it waits for all of them before it probes', () => {
    const targets = createTargets({ perTarget: 8, total: 16, openAfter: 3 })
    assert.equal(take(targets, 'a'), 8)
    give(targets, 'a', 7, true)
    assert.equal(targets.reserve('a'), false)
    targets.release('a', true)
    assert.equal(take(targets, 'a'), 1)
  })
})

describe('limits()', () => {
  test('names the targets that may take fewer than one target may have, and how many', () => {
    const targets = createTargets({ perTarget: 4, total: 100, openAfter: 2 })
    assert.deepEqual(targets.limits(), {})
    take(targets, 'busy', 3)
    take(targets, 'full')
    for (const probed of ['open', 'probing']) {
      take(targets, probed, 2)
      give(targets, probed, 2, true)
    }
    take(targets, 'probing')
    take(targets, 'failed once', 1)
    targets.release('failed once', true)
    take(targets, 'healthy', 1)
    targets.release('healthy', false)
    assert.deepEqual(targets.limits(), { busy: 1, full: 0, open: 1, probing: 0 })
  })

  test('always agrees with what reserve() then grants, and no more than allowed is ever under way', () => {
    const names = ['a', 'b', 'c'] as const
    const step = fc.record({
      name: fc.constantFrom(...names),
      act: fc.constantFrom('reserve', 'failed', 'well', 'nothing learned'),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const targets = createTargets({ perTarget: 5, total: 9, openAfter: 3 })
        const inFlight: Record<string, number> = { a: 0, b: 0, c: 0 }
        for (const { name, act } of steps) {
          const held = inFlight[name] ?? 0
          const room = Math.min(targets.limits()[name] ?? 5, targets.free())
          if (act === 'reserve') {
            const granted = targets.reserve(name)
            assert.equal(granted, room > 0)
            inFlight[name] = held + (granted ? 1 : 0)
          } else if (held > 0) {
            targets.release(name, act === 'nothing learned' ? null : act === 'failed')
            inFlight[name] = held - 1
          }
          const sum = names.reduce((total, each) => total + (inFlight[each] ?? 0), 0)
          assert.equal(targets.free(), 9 - sum)
          assert.ok((inFlight[name] ?? 0) <= 5)
        }
      }),
    )
  })
})
