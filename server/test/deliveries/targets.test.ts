import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { createTargets, type Receiver, type Targets } from '../../src/deliveries/targets.ts'

/** A receiver of one organization: `to('a')` is the only one of organization a, `to('a', 'x')` one of several. */
function to(organizationId: string, target = 'https://receiver.example'): Receiver {
  return { organizationId, target }
}

/** Reserves as many slots as it can, up to `wanted`. */
function take(targets: Targets, receiver: Receiver, wanted = 2_000): number {
  let taken = 0
  while (taken < wanted && targets.reserve(receiver)) taken += 1
  return taken
}

function give(targets: Targets, receiver: Receiver, count: number, trouble: boolean | null): void {
  for (let given = 0; given < count; given += 1) targets.release(receiver, trouble)
}

describe('slots', () => {
  test('a receiver gets up to the limit of one receiver, and another still gets its own', () => {
    const targets = createTargets({ perTarget: 3, total: 8 })
    assert.equal(take(targets, to('a')), 3)
    assert.equal(take(targets, to('b')), 3)
    assert.equal(targets.free(), 2)
    targets.release(to('a'), false)
    assert.equal(take(targets, to('b')), 0)
    assert.equal(take(targets, to('a')), 1)
  })

  test('a slot given back is free again, whatever the result', () => {
    for (const trouble of [true, false, null]) {
      const targets = createTargets({ perTarget: 2, total: 4 })
      assert.equal(take(targets, to('a')), 2)
      give(targets, to('a'), 2, trouble)
      assert.equal(targets.free(), 4)
      assert.equal(take(targets, to('a')), 2)
    }
  })

  test('giving back a slot that was never taken changes nothing', () => {
    const targets = createTargets({ perTarget: 2, total: 4 })
    targets.release(to('a'), true)
    assert.equal(targets.free(), 4)
    take(targets, to('a'), 1)
    give(targets, to('a'), 3, true)
    assert.equal(targets.free(), 4)
  })

  test('giving back a slot of a full receiver reports it, because others may be waiting', () => {
    const targets = createTargets({ perTarget: 2, total: 100 })
    take(targets, to('a'))
    assert.equal(targets.release(to('a'), false), true, 'the receiver was full')
    assert.equal(targets.release(to('a'), false), false)
    const shared = createTargets({ perTarget: 5, total: 8 })
    assert.equal(take(shared, to('a', 'x')), 4, 'half of all')
    assert.equal(shared.release(to('a', 'x'), false), true, 'the organization was')
    assert.equal(shared.release(to('a', 'x'), false), false)
  })
})

describe('the share of an organization', () => {
  test('by default 64 to one receiver, half of 1 024 to one organization, however many receivers it has', () => {
    const targets = createTargets()
    const taken = Array.from({ length: 20 }, (_, at) => take(targets, to('a', `https://slow-${at}.example`)))
    assert.deepEqual(taken, [...Array(8).fill(64), ...Array(12).fill(0)])
    assert.equal(take(targets, to('b')), 64, 'another organization is served at once')
  })

  test('two greedy organizations get a third each, three a quarter, so that the next one always finds some', () => {
    for (const greedy of [1, 2, 3, 7]) {
      const targets = createTargets()
      const organizations = Array.from({ length: greedy }, (_, at) => `greedy ${at}`)
      let slots = 0
      for (let took = true; took; ) {
        took = false
        for (const organization of organizations) {
          if (targets.reserve(to(organization, `https://slow-${slots % 100}.example`))) {
            took = true
            slots += 1
          }
        }
      }
      assert.ok(Math.abs(slots - (1_024 * greedy) / (greedy + 1)) <= greedy, `${greedy}: ${slots}`)
      assert.ok(take(targets, to('newcomer')) >= Math.min(64, Math.floor(targets.free() / 2)))
    }
  })

  test('grows again when the others give back', () => {
    const targets = createTargets({ perTarget: 100, total: 90 })
    assert.equal(take(targets, to('a'), 30), 30)
    assert.equal(take(targets, to('b')), 30)
    assert.equal(take(targets, to('a')), 0)
    give(targets, to('b'), 30, false)
    assert.equal(take(targets, to('a')), 15, '45, half of all')
  })

  test('a single slot can be used', () => {
    const targets = createTargets({ total: 1 })
    assert.equal(take(targets, to('a')), 1)
    assert.equal(take(targets, to('b')), 0)
    targets.release(to('a'), false)
    assert.equal(take(targets, to('b')), 1)
  })
})

describe('the breaker', () => {
  /** A receiver with this many failures in a row and nothing in flight. */
  function failing(failures: number): Targets {
    const targets = createTargets({ perTarget: 8, total: 32, openAfter: 3 })
    for (let failed = 0; failed < failures; failed += 1) {
      assert.ok(targets.reserve(to('a')))
      targets.release(to('a'), true)
    }
    return targets
  }

  test('stays closed below its number of failures in a row', () => {
    assert.equal(take(failing(2), to('a')), 8)
  })

  test('open: one probe at a time', () => {
    const targets = failing(3)
    assert.equal(take(targets, to('a')), 1)
    targets.release(to('a'), true)
    assert.equal(take(targets, to('a')), 1)
    assert.equal(take(targets, to('b')), 8, 'another receiver is not concerned')
  })

  test('closes with the first success', () => {
    const targets = failing(7)
    assert.equal(take(targets, to('a')), 1)
    targets.release(to('a'), false)
    assert.equal(take(targets, to('a')), 8)
  })

  test('a probe without a result neither opens nor closes it', () => {
    const open = failing(3)
    take(open, to('a'))
    open.release(to('a'), null)
    assert.equal(take(open, to('a')), 1)
    const closed = failing(2)
    closed.reserve(to('a'))
    closed.release(to('a'), null)
    assert.equal(take(closed, to('a')), 8)
  })

  test('a success in between resets the count', () => {
    const targets = failing(2)
    targets.reserve(to('a'))
    targets.release(to('a'), false)
    targets.reserve(to('a'))
    targets.release(to('a'), true)
    assert.equal(take(targets, to('a')), 8)
  })

  test('opened by deliveries that were under way together, it waits for all of them before it probes', () => {
    const targets = createTargets({ perTarget: 8, total: 32, openAfter: 3 })
    assert.equal(take(targets, to('a')), 8)
    give(targets, to('a'), 7, true)
    assert.equal(targets.reserve(to('a')), false)
    targets.release(to('a'), true)
    assert.equal(take(targets, to('a')), 1)
  })
})

describe('limits()', () => {
  const anyBytes = { bytes: Number.MAX_SAFE_INTEGER, organizationBytes: {} }

  test('names the receivers that may take fewer than one receiver may have, and how many', () => {
    const targets = createTargets({ perTarget: 4, total: 100, openAfter: 2 })
    assert.deepEqual(targets.limits(), { ...anyBytes, perOrganization: 50, organizations: {}, receivers: {} })
    take(targets, to('o', 'busy'), 3)
    take(targets, to('o', 'full'))
    for (const probed of ['open', 'probing']) {
      take(targets, to('o', probed), 2)
      give(targets, to('o', probed), 2, true)
    }
    take(targets, to('o', 'probing'))
    take(targets, to('o', 'failed once'), 1)
    targets.release(to('o', 'failed once'), true)
    take(targets, to('o', 'healthy'), 1)
    targets.release(to('o', 'healthy'), false)
    assert.deepEqual(targets.limits().receivers, { 'o busy': 1, 'o full': 0, 'o open': 1, 'o probing': 0 })
  })

  test('names the organizations with deliveries under way, and how many more each may have', () => {
    const targets = createTargets({ perTarget: 100, total: 100 })
    take(targets, to('a'), 30)
    take(targets, to('b'), 10)
    // 60 are free. After 15 more, a holds 45 and 45 are free; b can get 35 and a new organization 30.
    assert.deepEqual(targets.limits(), {
      ...anyBytes,
      perOrganization: 30,
      organizations: { a: 15, b: 25 },
      receivers: { 'a https://receiver.example': 70, 'b https://receiver.example': 90 },
    })
    give(targets, to('b'), 10, false)
    assert.deepEqual(targets.limits().organizations, { a: 20 })
  })

  test('always agree with what reserve() then grants, and no more than allowed is ever under way', () => {
    const names = ['a', 'b', 'c'] as const
    const step = fc.record({
      organization: fc.constantFrom(...names),
      target: fc.constantFrom('x', 'y'),
      act: fc.constantFrom('reserve', 'reserve', 'failed', 'well', 'nothing learned'),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const targets = createTargets({ perTarget: 5, total: 19, openAfter: 3 })
        const inFlight = new Map<string, number>()
        const heldBy = (organization: string) =>
          ['x', 'y'].reduce((sum, target) => sum + (inFlight.get(`${organization} ${target}`) ?? 0), 0)
        for (const { organization, target, act } of steps) {
          const name = `${organization} ${target}`
          const held = inFlight.get(name) ?? 0
          const limits = targets.limits()
          const room = Math.min(
            limits.receivers[name] ?? 5,
            limits.organizations[organization] ?? limits.perOrganization,
          )
          if (act === 'reserve') {
            const granted = targets.reserve(to(organization, target))
            assert.equal(granted, room > 0)
            assert.ok(!granted || heldBy(organization) < targets.free() + 1, 'it held fewer than were free')
            inFlight.set(name, held + (granted ? 1 : 0))
          } else if (held > 0) {
            targets.release(to(organization, target), act === 'nothing learned' ? null : act === 'failed')
            inFlight.set(name, held - 1)
          }
          const sum = names.reduce((total, each) => total + heldBy(each), 0)
          assert.equal(targets.free(), 19 - sum)
          assert.ok((inFlight.get(name) ?? 0) <= 5)
          assert.ok(heldBy(organization) <= 10)
        }
      }),
    )
  })
})

describe('bytes', () => {
  test('large bodies of an organization take half, and small ones are only counted', () => {
    const targets = createTargets({ totalBytes: 10_000_000 })
    const large = (receiver: Receiver): number => {
      let taken = 0
      while (targets.reserve(receiver, 1_000_000)) taken += 1
      return taken
    }
    assert.equal(large(to('a')), 5)
    assert.equal(take(targets, to('a'), 10), 10)
    assert.deepEqual([large(to('b')), targets.limits().organizationBytes], [2, { a: 0, b: 500_000 }])
    targets.release(to('a'), true, 1_000_000)
    assert.equal(targets.limits().bytes, 4_000_000)
  })
})
