import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import fc from 'fast-check'
import { createTargets, type Receiver, type TargetOptions, type Targets } from '../../src/deliveries/targets.ts'

/** The clock of these tests, in ms. */
let now = 0
beforeEach(() => {
  now = 1_000_000
})

/** A receiver of one organization: `to('a')` is the only one of organization a, `to('a', 'x')` one of several. */
function to(organizationId: string, target = 'https://receiver.example'): Receiver {
  return { organizationId, target }
}

const seen = (isTargetInTrouble: boolean, durationMs = 20) => ({ isTargetInTrouble, durationMs })
const create = (options: TargetOptions = {}): Targets => createTargets({ now: () => now, ...options })

/** With receivers that have replied quickly. */
function knowing(options: TargetOptions, ...receivers: readonly Receiver[]): Targets {
  const targets = create(options)
  for (const receiver of receivers) {
    assert.ok(targets.reserve(receiver))
    targets.release(receiver, seen(false))
  }
  return targets
}

/** Reserves as many slots as it can, up to `wanted`. */
function take(targets: Targets, receiver: Receiver, wanted = 2_000): number {
  let taken = 0
  while (taken < wanted && targets.reserve(receiver)) taken += 1
  return taken
}

function give(targets: Targets, receiver: Receiver, count: number, trouble: boolean | null): void {
  for (let given = 0; given < count; given += 1) targets.release(receiver, trouble === null ? null : seen(trouble))
}

describe('slots', () => {
  test('a receiver gets up to the limit of one receiver, and another still gets its own', () => {
    const targets = knowing({ perTarget: 3, total: 16 }, to('a'), to('b'))
    assert.equal(take(targets, to('a')), 3)
    assert.equal(take(targets, to('b')), 3)
    assert.equal(targets.free(), 10)
    targets.release(to('a'), seen(false))
    assert.equal(take(targets, to('b')), 0)
    assert.equal(take(targets, to('a')), 1)
  })

  test('a slot given back is free again, whatever the result', () => {
    for (const trouble of [true, false, null]) {
      const targets = knowing({ perTarget: 2, total: 4 }, to('a'))
      assert.equal(take(targets, to('a')), 2)
      give(targets, to('a'), 2, trouble)
      assert.equal(targets.free(), 4)
      assert.equal(take(targets, to('a')), 2)
    }
  })

  test('giving back a slot that was never taken changes nothing', () => {
    const targets = create({ perTarget: 2, total: 4 })
    targets.release(to('a'), seen(true))
    assert.equal(targets.free(), 4)
    take(targets, to('a'), 1)
    give(targets, to('a'), 3, true)
    assert.equal(targets.free(), 4)
  })

  test('giving back a slot of a full receiver reports it, because others may be waiting', () => {
    const targets = knowing({ perTarget: 2, total: 100 }, to('a'))
    take(targets, to('a'))
    assert.equal(targets.release(to('a'), seen(false)).wasFull, true, 'the receiver was full')
    assert.equal(targets.release(to('a'), seen(false)).wasFull, false)
    const shared = knowing({ perTarget: 10, total: 8 }, to('a', 'x'))
    take(shared, to('b'), 1)
    assert.equal(take(shared, to('a', 'x')), 4)
    assert.equal(shared.release(to('a', 'x'), seen(false)).wasFull, true, 'the organization was')
    assert.equal(shared.release(to('a', 'x'), seen(false)).wasFull, false)
  })
})

describe('the share of an organization', () => {
  const slow = Array.from({ length: 50 }, (_, at) => `https://slow-${at}.example`)
  const knowingAll = (...organizations: readonly string[]) =>
    knowing({}, ...organizations.flatMap((id) => slow.map((target) => to(id, target))))

  test('alone: by default 64 to one receiver, and a sixteenth stays free for the next organization', () => {
    const targets = knowingAll('a', 'b')
    const taken = slow.slice(0, 20).map((target) => take(targets, to('a', target)))
    assert.deepEqual(taken, [...Array(15).fill(64), ...Array(5).fill(0)])
    assert.equal(take(targets, to('b', slow[0])), 32, 'another organization is served at once')
  })

  test('two greedy organizations get a third each, three a quarter, so that the next one always finds some', () => {
    for (const greedy of [2, 3, 7]) {
      const organizations = Array.from({ length: greedy }, (_, at) => `greedy ${at}`)
      const targets = knowingAll(...organizations, 'newcomer')
      let slots = 0
      for (let took = true; took; ) {
        took = false
        for (const organization of organizations) {
          if (targets.reserve(to(organization, slow[slots % 50]))) {
            took = true
            slots += 1
          }
        }
      }
      assert.ok(Math.abs(slots - (1_024 * greedy) / (greedy + 1)) <= greedy, `${greedy}: ${slots}`)
      assert.ok(take(targets, to('newcomer', slow[0])) >= Math.min(64, Math.floor(targets.free() / 2)))
    }
  })

  test('grows again when the others give back', () => {
    const targets = knowing({ perTarget: 100, total: 90 }, to('a'), to('b'))
    assert.equal(take(targets, to('a'), 30), 30)
    assert.equal(take(targets, to('b')), 30)
    assert.equal(take(targets, to('a')), 0)
    give(targets, to('b'), 30, false)
    assert.equal(take(targets, to('a')), 55, '85: all but a sixteenth')
  })

  test('a single slot can be used', () => {
    const targets = create({ total: 1 })
    assert.equal(take(targets, to('a')), 1)
    assert.equal(take(targets, to('b')), 0)
    targets.release(to('a'), seen(false))
    assert.equal(take(targets, to('b')), 1)
  })
})

describe('receivers of one organization', () => {
  const hosts = Array.from({ length: 600 }, (_, at) => `https://hanging-${at}.example`)

  test('one that has not replied yet gets two at a time, and all of its own after a quick reply', () => {
    const targets = create()
    assert.equal(take(targets, to('a')), 2)
    targets.release(to('a'), seen(false))
    assert.equal(take(targets, to('a')), 63)
  })

  test('hanging ones together leave half to those that reply quickly, and some to new ones', () => {
    const targets = knowing({}, to('a', 'quick'))
    for (const host of hosts) take(targets, to('a', host))
    assert.equal(1_024 - targets.free(), 480)
    assert.equal(take(targets, to('a', 'quick')), 64)
    now += 500
    give(targets, to('a', 'quick'), 64, false)
    assert.equal(take(targets, to('a', 'quick')), 64, 'although a moment ago all of them were under way for long')
  })

  test('a receiver that replied quickly and then hangs keeps what it has, and others go before it', () => {
    const targets = knowing({ total: 64, perTarget: 30 }, to('a', 'x'), to('a', 'y'))
    assert.equal(take(targets, to('a', 'x'), 28), 28)
    now += 500
    assert.equal(take(targets, to('a', 'x')), 2, 'as many as are left to the others')
    assert.equal(take(targets, to('a', 'y')), 30)
    give(targets, to('a', 'x'), 30, true)
    assert.equal(take(targets, to('a', 'x')), 0, 'its breaker is open')
  })

  test('one that timed out is tried two at a time; one that is slow but replies may have all of its own', () => {
    const targets = create()
    take(targets, to('a'), 1)
    targets.release(to('a'), seen(true, 15_000))
    assert.equal(take(targets, to('a')), 2)
    targets.release(to('a'), seen(false, 8_000))
    assert.equal(take(targets, to('a')), 63)
  })
})

describe('the breaker', () => {
  /** A receiver with this many failures in a row and nothing in flight. */
  function failing(failures: number): Targets {
    const targets = knowing({ perTarget: 8, total: 32, openAfter: 3 }, to('a'), to('b'))
    for (let failed = 0; failed < failures; failed += 1) {
      assert.ok(targets.reserve(to('a')))
      targets.release(to('a'), seen(true))
      if (failed >= 2) now += 60_000
    }
    return targets
  }

  test('stays closed below its number of failures in a row', () => {
    assert.equal(take(failing(2), to('a')), 8)
  })

  test('reports that it opens, and how long it was open when it closes; nothing in between', () => {
    const targets = failing(2)
    const fail = (trouble: boolean) => {
      assert.ok(targets.reserve(to('a')))
      return targets.release(to('a'), seen(trouble)).breaker
    }
    assert.deepEqual(fail(true), { openMs: null, failures: 3 })
    assert.deepEqual(
      targets.open().map(({ target }) => target),
      ['https://receiver.example'],
    )
    now += 5_000
    assert.equal(fail(true), undefined)
    now += 5_000
    assert.deepEqual(fail(false), { openMs: 10_000, failures: 4 })
    assert.deepEqual(targets.open(), [])
  })

  test('open: one probe at a time, after a second and then after a quarter of the time it has been open, a minute at most', () => {
    const targets = failing(2)
    assert.ok(targets.reserve(to('a')))
    targets.release(to('a'), seen(true))
    const opened = now
    const waits: number[] = []
    while (now - opened < 600_000) {
      const from = now
      while (!targets.reserve(to('a'))) now += 250
      assert.equal(take(targets, to('a')), 0, 'one at a time')
      waits.push(now - from)
      targets.release(to('a'), seen(true))
    }
    assert.deepEqual(waits.slice(0, 8), [1_000, 1_000, 1_000, 1_000, 1_000, 1_250, 1_750, 2_000])
    assert.equal(waits.at(-1), 60_000)
    assert.equal(take(targets, to('b')), 8, 'another receiver is not concerned')
  })

  test('a probe at once when somebody asks', () => {
    const targets = failing(2)
    targets.reserve(to('a'))
    targets.release(to('a'), seen(true))
    assert.equal(take(targets, to('a')), 0)
    targets.probe(to('a'))
    assert.equal(take(targets, to('a')), 1)
  })

  test('closes with the first success', () => {
    const targets = failing(7)
    assert.equal(take(targets, to('a')), 1)
    targets.release(to('a'), seen(false))
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
    targets.release(to('a'), seen(false))
    targets.reserve(to('a'))
    targets.release(to('a'), seen(true))
    assert.equal(take(targets, to('a')), 8)
  })

  test('opened by deliveries that were under way together, it waits for all of them before it probes', () => {
    const targets = knowing({ perTarget: 8, total: 32, openAfter: 3 }, to('a'))
    assert.equal(take(targets, to('a')), 8)
    give(targets, to('a'), 7, true)
    now += 60_000
    assert.equal(targets.reserve(to('a')), false)
    targets.release(to('a'), seen(true))
    now += 60_000
    assert.equal(take(targets, to('a')), 1)
  })
})

describe('limits()', () => {
  const anyBytes = { bytes: Number.MAX_SAFE_INTEGER, organizationBytes: {} }

  test('names the receivers that are known, and how many each may have', () => {
    const names = ['busy', 'full', 'open', 'probing', 'failed once', 'healthy']
    const targets = knowing({ perTarget: 4, total: 96, openAfter: 2 }, ...names.map((name) => to('o', name)))
    take(targets, to('o', 'busy'), 3)
    take(targets, to('o', 'full'))
    for (const probed of ['open', 'probing']) {
      take(targets, to('o', probed), 2)
      give(targets, to('o', probed), 2, true)
    }
    now += 60_000
    take(targets, to('o', 'probing'))
    take(targets, to('o', 'failed once'), 1)
    targets.release(to('o', 'failed once'), seen(true))
    take(targets, to('o', 'new'), 1)
    assert.deepEqual(targets.limits().receivers, {
      'o busy': 1,
      'o full': 0,
      'o open': 1,
      'o probing': 0,
      'o failed once': 4,
      'o healthy': 4,
      'o new': 1,
    })
  })

  test('names the organizations with deliveries under way, and how many more each and a new receiver may have', () => {
    const targets = knowing({ perTarget: 100, total: 100 }, to('a'), to('b'))
    take(targets, to('a'), 30)
    take(targets, to('b'), 10)
    // 60 are free. After 15 more, a holds 45 and 45 are free; b can get 35 and a new organization 30.
    assert.deepEqual(targets.limits(), {
      ...anyBytes,
      perOrganization: 30,
      organizations: { a: 15, b: 25 },
      receivers: { 'a https://receiver.example': 15, 'b https://receiver.example': 25 },
      perNewReceiver: 2,
      newReceivers: { a: 2, b: 2 },
    })
    give(targets, to('b'), 10, false)
    assert.deepEqual(targets.limits().organizations, { a: 64 })
  })

  test('always agree with what reserve() then grants, and no more than allowed is ever under way', () => {
    const names = ['a', 'b', 'c'] as const
    const step = fc.record({
      organization: fc.constantFrom(...names),
      target: fc.constantFrom('x', 'y', 'z'),
      act: fc.constantFrom('reserve', 'reserve', 'failed', 'well', 'slow', 'nothing learned'),
      ms: fc.constantFrom(0, 100, 600, 60_000),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const targets = create({ perTarget: 5, total: 19, openAfter: 3 })
        const inFlight = new Map<string, number>()
        const heldBy = (organization: string) =>
          ['x', 'y', 'z'].reduce((sum, target) => sum + (inFlight.get(`${organization} ${target}`) ?? 0), 0)
        for (const { organization, target, act, ms } of steps) {
          now += ms
          const name = `${organization} ${target}`
          const held = inFlight.get(name) ?? 0
          const limits = targets.limits()
          const room = Math.min(
            limits.receivers[name] ?? limits.newReceivers[organization] ?? limits.perNewReceiver,
            limits.organizations[organization] ?? limits.perOrganization,
          )
          if (act === 'reserve') {
            const granted = targets.reserve(to(organization, target))
            assert.equal(granted, room > 0)
            inFlight.set(name, held + (granted ? 1 : 0))
          } else if (held > 0) {
            const learned = act === 'nothing learned' ? null : seen(act === 'failed', act === 'slow' ? 900 : 20)
            targets.release(to(organization, target), learned)
            inFlight.set(name, held - 1)
          }
          const sum = names.reduce((total, each) => total + heldBy(each), 0)
          assert.equal(targets.free(), 19 - sum)
          assert.ok((inFlight.get(name) ?? 0) <= 5)
        }
      }),
    )
  })

  test('remember the last five hundred healthy receivers, and the failures of others', () => {
    const targets = create({ openAfter: 1 })
    take(targets, to('a', 'dead'))
    give(targets, to('a', 'dead'), 2, true)
    for (let at = 0; at < 2_000; at += 1) {
      take(targets, to('a', `x${at}`), 1)
      targets.release(to('a', `x${at}`), seen(false))
    }
    const { receivers } = targets.limits()
    assert.ok(Object.keys(receivers).length <= 700)
    assert.equal(receivers['a dead'], 0)
    assert.equal(receivers['a x1999'], 64)
  })
})

describe('bytes', () => {
  test('large bodies of an organization take half, and small ones are only counted', () => {
    const targets = knowing({ totalBytes: 10_000_000 }, to('a'), to('b'))
    const large = (receiver: Receiver): number => {
      let taken = 0
      while (targets.reserve(receiver, 1_000_000)) taken += 1
      return taken
    }
    assert.equal(large(to('a')), 5)
    assert.equal(take(targets, to('a'), 10), 10)
    assert.deepEqual([large(to('b')), targets.limits().organizationBytes], [2, { a: 0, b: 500_000 }])
    targets.release(to('a'), seen(true), 1_000_000)
    assert.equal(targets.limits().bytes, 4_000_000)
  })
})
