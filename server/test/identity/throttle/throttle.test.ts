import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  type AttemptKind,
  admit,
  afterNothing,
  afterSuccess,
  blank,
  delay,
  forgetAfterMs,
  knownForMs,
  look,
  rulesOf,
  type Tallies,
  type Tally,
} from '../../../src/identity/throttle/throttle.ts'

const kinds = Object.keys(rulesOf) as readonly AttemptKind[]
const start = Date.parse('2026-01-31T09:00:00Z')

/** The rules with a memory: any number of accounts and networks, and a clock. */
function createWorld(kind: AttemptKind = 'password') {
  const rules = rulesOf[kind]
  const tallies = new Map<string, Tally>()
  let now = start
  const keys = (account: string | null, network: string) => ({
    pair: account === null ? null : `pair ${account} ${network}`,
    network: `network ${network}`,
    account: account === null ? null : `account ${account}`,
  })
  type Keys = ReturnType<typeof keys>
  const of = (name: string): Tally => tallies.get(name) ?? blank
  const given = ({ pair, network, account }: Keys) => ({
    pair: pair === null ? null : of(pair),
    networks: [of(network)],
    account: account === null ? null : of(account),
  })
  const keep = (names: Keys, after: Tallies): void => {
    const kept = [
      [names.pair, after.pair],
      [names.network, after.networks[0]],
      [names.account, after.account],
    ] as const
    for (const [name, tally] of kept) if (name !== null && tally != null) tallies.set(name, tally)
  }
  const attempt = (account: string | null, network: string, outcome: 'right' | 'wrong' | 'nothing') => {
    const names = keys(account, network)
    const verdict = admit(rules, given(names), now)
    keep(names, verdict.after)
    if (verdict.admitted && outcome === 'right') keep(names, afterSuccess(given(names), now))
    if (verdict.admitted && outcome === 'nothing') keep(names, afterNothing(given(names), now))
    return verdict
  }
  return {
    tallies,
    pass: (ms: number) => {
      now += ms
    },
    look: (account: string | null, network: string) => look(rules, given(keys(account, network)), now),
    attempt,
    /** Milliseconds until an attempt is admitted if it is repeated as soon as the refusals say. */
    untilAdmitted: (account: string, network: string, outcome: 'right' | 'wrong' = 'right'): number => {
      const from = now
      for (let tries = 0; tries < 10; tries += 1) {
        const verdict = attempt(account, network, outcome)
        if (verdict.admitted) return now - from
        now += verdict.waitMs
      }
      return Number.POSITIVE_INFINITY
    },
  }
}

describe('the wait after each failure', () => {
  test('none for the free attempts, then 1 s, doubled each time up to the cap', () => {
    const pace = { free: 3, capMs: 10_000 }
    const waits = Array.from({ length: 10 }, (_, failures) => delay(pace, failures))
    assert.deepEqual(waits, [0, 0, 0, 0, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000])
    assert.equal(delay(pace, 1_000_000), 10_000)
  })

  for (const kind of kinds) {
    test(`${kind}: no wait is longer than a minute`, () => {
      const { pair, network, account, shared } = rulesOf[kind]
      for (const pace of [pair, network, account, shared]) assert.ok(pace === null || pace.capMs < 60_000)
    })
  }
})

describe('an account and a network', () => {
  test('ten wrong passwords are free; then each doubles the wait', () => {
    const world = createWorld()
    const waits: number[] = []
    for (let failure = 0; failure < 18; failure += 1) waits.push(world.untilAdmitted('a', 'n', 'wrong'))
    assert.deepEqual(waits, [...Array(11).fill(0), 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 50_000])
  })

  test('five wrong codes are free', () => {
    const world = createWorld('code')
    const waits = Array.from({ length: 8 }, () => world.untilAdmitted('a', 'n', 'wrong'))
    assert.deepEqual(waits, [0, 0, 0, 0, 0, 0, 1_000, 2_000])
  })

  test('a success resets earlier failures', () => {
    const world = createWorld()
    for (let failure = 0; failure < 14; failure += 1) world.untilAdmitted('a', 'n', 'wrong')
    world.untilAdmitted('a', 'n')
    for (let failure = 0; failure < 10; failure += 1) assert.equal(world.untilAdmitted('a', 'n', 'wrong'), 0)
  })

  test('an hour without a failure does too', () => {
    const world = createWorld()
    for (let failure = 0; failure < 16; failure += 1) world.untilAdmitted('a', 'n', 'wrong')
    assert.equal(world.attempt('a', 'n', 'right').admitted, false)
    world.pass(forgetAfterMs)
    for (let failure = 0; failure < 11; failure += 1) assert.equal(world.untilAdmitted('a', 'n', 'wrong'), 0)
  })

  test('trying too early does not lengthen the wait and does not count', () => {
    const world = createWorld()
    for (let failure = 0; failure < 15; failure += 1) world.untilAdmitted('a', 'n', 'wrong')
    const before = new Map(world.tallies)
    const first = world.attempt('a', 'n', 'wrong')
    assert.ok(!first.admitted)
    for (let early = 0; early < 1_000; early += 1) world.attempt('a', 'n', 'wrong')
    assert.deepEqual(world.tallies, before)
    world.pass(first.waitMs - 1)
    assert.equal(world.attempt('a', 'n', 'right').admitted, false)
    world.pass(1)
    assert.equal(world.attempt('a', 'n', 'right').admitted, true)
  })

  test('simultaneous attempts are counted one by one before any of them ends', () => {
    const world = createWorld()
    const admitted = Array.from({ length: 200 }, () => world.attempt('a', 'n', 'wrong').admitted)
    assert.equal(admitted.filter(Boolean).length, 11)
    assert.deepEqual(admitted.slice(11), Array(189).fill(false))
  })

  test('an attempt that was never checked is not counted', () => {
    const world = createWorld()
    for (let call = 0; call < 1_000; call += 1) assert.equal(world.attempt('a', 'n', 'nothing').admitted, true)
    for (let call = 0; call < 1_000; call += 1) assert.equal(world.look('a', 'n').admitted, true)
  })
})

describe('a network', () => {
  test('that fails with many accounts waits between attempts at any account', () => {
    const world = createWorld()
    const waits = Array.from({ length: 40 }, (_, account) => world.untilAdmitted(`a${account}`, 'n', 'wrong'))
    assert.deepEqual(waits.slice(0, 31), Array(31).fill(0))
    assert.deepEqual(waits.slice(31), [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000, 30_000])
  })

  test('that an account has signed in from admits that account meanwhile', () => {
    const world = createWorld()
    world.attempt('owner', 'n', 'right')
    for (let account = 0; account < 100; account += 1) world.attempt(`a${account}`, 'n', 'wrong')
    assert.equal(world.attempt('stranger', 'n', 'right').admitted, false)
    assert.deepEqual(world.attempt('owner', 'n', 'right').admitted, true)
  })

  test('a success of one account does not reset failures at others', () => {
    const world = createWorld()
    world.attempt('own', 'n', 'right')
    let guesses = 0
    for (let account = 0; account < 500; account += 1) {
      world.attempt('own', 'n', 'right')
      if (world.attempt(`a${account}`, 'n', 'wrong').admitted) guesses += 1
    }
    assert.equal(guesses, 31)
  })

  test('secrets that name no account are counted for their network', () => {
    const world = createWorld('token')
    const admitted = Array.from({ length: 50 }, () => world.attempt(null, 'n', 'wrong').admitted)
    assert.equal(admitted.filter(Boolean).length, 21)
    assert.equal(world.attempt(null, 'other', 'wrong').admitted, true)
  })
})

describe('nobody elsewhere can lock an owner out', () => {
  for (const kind of kinds) {
    test(`${kind}: from a known network never a wait, after 5 000 failures from 5 000 other networks`, () => {
      const world = createWorld(kind)
      world.attempt('owner', 'home', 'right')
      for (let network = 0; network < 5_000; network += 1) {
        world.attempt('owner', `n${network}`, 'wrong')
        if (network % 100 === 0) assert.equal(world.attempt('owner', 'home', 'right').admitted, true)
      }
      assert.equal(world.attempt('owner', 'home', 'right').admitted, true)
    })
  }

  test('from a new network within a minute, even if attackers from thousands of networks try whenever they can', () => {
    const world = createWorld()
    for (let network = 0; network < 2_000; network += 1) world.attempt('owner', `n${network}`, 'wrong')
    const told = world.attempt('owner', 'new place', 'right')
    assert.ok(!told.admitted)
    assert.ok(told.waitMs <= 60_000)
    for (let second = 0; second * 1_000 < told.waitMs; second += 1) {
      for (let network = 0; network < 2_000; network += 1) world.attempt('owner', `n${network}`, 'wrong')
      world.pass(Math.min(1_000, told.waitMs - second * 1_000))
    }
    assert.equal(world.attempt('owner', 'new place', 'right').admitted, true)
    assert.equal(world.attempt('owner', 'new place', 'right').admitted, true, 'it is known from now on')
  })

  test('any history of others: a known network is admitted at once, a new one within a minute', () => {
    const attack = fc.record({
      account: fc.constantFrom('owner', 'other'),
      network: fc.integer({ min: 0, max: 30 }).map((number) => `n${number}`),
      pause: fc.constantFrom(0, 0, 0, 1_000, 60_000, forgetAfterMs),
    })
    fc.assert(
      fc.property(
        fc.array(attack, { maxLength: 300 }),
        fc.constantFrom<AttemptKind>('password', 'token'),
        (attacks, kind) => {
          const world = createWorld(kind)
          world.attempt('owner', 'home', 'right')
          for (const { account, network, pause } of attacks) {
            world.attempt(account, network, 'wrong')
            world.pass(pause)
          }
          assert.equal(world.untilAdmitted('owner', 'home'), 0)
          assert.ok(world.untilAdmitted('owner', 'new place') < 60_000)
        },
      ),
      { numRuns: 300 },
    )
  })

  test('guesses from many networks are still slowed down', () => {
    const world = createWorld()
    let guesses = 0
    for (let second = 0; second < 600; second += 1) {
      for (let network = 0; network < 100; network += 1) {
        if (world.attempt('owner', `n${network}`, 'wrong').admitted) guesses += 1
      }
      world.pass(1_000)
    }
    // The first 21, then one per network and 45 s. The free ones of each network alone would be 1 000.
    assert.ok(guesses <= 21 + 100 * (600 / 45 + 1), `${guesses}`)
  })

  test('codes: beyond a hundred failures new networks share one attempt per half a minute', () => {
    const world = createWorld('code')
    let guesses = 0
    for (let second = 0; second < 3_600; second += 1) {
      for (let network = 0; network < 50; network += 1) {
        if (world.attempt('owner', `n${network}`, 'wrong').admitted) guesses += 1
      }
      world.pass(1_000)
    }
    assert.ok(guesses > 100 && guesses < 100 + 3_600 / 30 + 20, `${guesses} of a million codes`)
  })
})

describe('known networks are forgotten', () => {
  test('a network that an account has not used for 90 days is new again', () => {
    const world = createWorld()
    world.attempt('owner', 'home', 'right')
    world.pass(knownForMs)
    for (let network = 0; network < 100; network += 1) world.attempt('owner', `n${network}`, 'wrong')
    assert.equal(world.attempt('owner', 'home', 'right').admitted, false)
  })

  test('each success extends it', () => {
    const world = createWorld()
    for (let visit = 0; visit < 5; visit += 1) {
      world.attempt('owner', 'home', 'right')
      world.pass(knownForMs - 1)
    }
    for (let network = 0; network < 100; network += 1) world.attempt('owner', `n${network}`, 'wrong')
    assert.equal(world.attempt('owner', 'home', 'right').admitted, true)
  })
})
