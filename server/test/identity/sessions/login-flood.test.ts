import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { createPasswords, type Passwords } from '../../../src/identity/accounts/passwords.ts'
import { createFairQueue, type Turn } from '../../../src/identity/throttle/queue.ts'
import { type Reply, startTestApp, type TestApp } from '../../harness.ts'

const login = '/api/v1/auth/login'

/**
 * Hashing behind a gate. While the gate is shut, the current job does not finish, so the queue stays as it is however fast the
 * machine is; `turnsUntil` lets jobs through one by one.
 */
function createGate() {
  const passwords = createPasswords({ cost: 4 })
  const inLine: Turn[] = []
  const atWork: { readonly turn: Turn; readonly go: () => void }[] = []
  const changes = new EventEmitter()
  let isOpen = true
  const pass = (turn: Turn): Promise<void> => {
    if (isOpen) return Promise.resolve()
    return new Promise((go) => {
      atWork.push({ turn, go })
      changes.emit('change')
    })
  }
  const gated: Passwords = {
    hash: passwords.hash,
    verify: (password, stored, turn = nowhere, around = (work) => work()) => {
      const verified = passwords.verify(password, stored, turn, (work) => around(() => pass(turn).then(work)))
      inLine.push(turn)
      changes.emit('change')
      return verified
    },
  }
  return {
    passwords: gated,
    shut: () => {
      isOpen = false
    },
    open: () => {
      isOpen = true
      for (const { go } of atWork.splice(0)) go()
    },
    /** How many turns this job waits once it is in the queue. */
    turnsUntil: async (isMeant: (turn: Turn) => boolean): Promise<number> => {
      while (!inLine.some(isMeant)) await once(changes, 'change')
      for (let turns = 1; ; turns += 1) {
        while (atWork.length === 0) await once(changes, 'change')
        const next = atWork.shift()
        assert.ok(next)
        next.go()
        if (isMeant(next.turn)) return turns
      }
    },
  }
}

const nowhere: Turn = { share: '', known: false }

/** Sends these logins at once; `refused` resolves when this many of them got 503. */
function flood(count: number, send: (index: number) => Promise<Reply>, expectedRefusals: number) {
  const enough = Promise.withResolvers<readonly Reply[]>()
  const refusals: Reply[] = []
  let open = count
  const replies = Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const reply = await send(index)
      open -= 1
      if (reply.status === 503) refusals.push(reply)
      if (refusals.length === expectedRefusals) enough.resolve(refusals)
      return reply
    }),
  )
  return { replies, refused: enough.promise, open: () => open }
}

describe('a flood of logins from 90 networks at 90 accounts', () => {
  let t: TestApp
  const gate = createGate()
  const home = { 'x-forwarded-for': '198.51.100.1' }
  const right = { username: 'admin@example.com', password: 'password123' }
  before(async () => {
    t = await startTestApp({ environment: { TRUSTED_PROXIES: '127.0.0.1' }, passwords: gate.passwords })
    // This account has signed in from this network before.
    assert.equal((await t.call('POST', login, { body: right, headers: home })).status, 200)
  })
  after(() => t.stop())

  test('503 with Retry-After beyond the queue; the API still works, and a known person gets in', async () => {
    gate.shut()
    const strangers = flood(
      90,
      (index) =>
        t.call('POST', login, {
          body: { username: `nobody${index}@example.com`, password: 'wrong' },
          headers: { 'x-forwarded-for': `203.0.113.${index}` },
        }),
      25,
    )
    for (const refused of await strangers.refused) {
      assert.match(String(refused.headers['retry-after']), /^\d+$/)
      assert.equal(refused.body.code, 'service.unavailable')
    }
    for (const [path, as] of [
      ['/api/v1/auth/me', t.admin.token],
      ['/api/v1/requests', t.apiKey],
      ['/api/v1/health', undefined],
    ] as const) {
      assert.equal((await t.call('GET', path, as === undefined ? {} : { as })).status, 200)
    }
    assert.equal((await t.createRequest()).state, 'pending')
    assert.equal(strangers.open(), 65, 'one is at work and 64 are waiting')

    const known = t.call('POST', login, { body: right, headers: home })
    const turns = await gate.turnsUntil((turn) => turn.known)
    assert.ok(turns <= 3, `it was the ${turns}th turn: behind the one at work and at most one more`)
    assert.equal((await known).status, 200)
    gate.open()
    const statuses = (await strangers.replies).map((reply) => reply.status)
    assert.equal(statuses.filter((status) => status === 401).length, 65, 'one at work and 64 waiting are answered')
    assert.equal(statuses.filter((status) => status === 503).length, 25)
    const stranger = await t.call('POST', login, { body: right, headers: { 'x-forwarded-for': '198.51.100.2' } })
    assert.equal(stranger.status, 200, 'the queue is free again')
  })
})

test('a flood from one network gets 429, takes every other turn, and leaves room in the queue for others', async (context) => {
  const gate = createGate()
  const t = await startTestApp({ environment: { TRUSTED_PROXIES: '127.0.0.1' }, passwords: gate.passwords })
  context.after(() => t.stop())
  const send = (username: string, password: string, from: string): Promise<Reply> =>
    t.call('POST', login, { body: { username, password }, headers: { 'x-forwarded-for': from } })
  gate.shut()
  const one = flood(
    200,
    (index) => send(`nobody${index}@example.com`, 'wrong', `2001:db8:1:1::${index.toString(16)}`),
    135,
  )
  await one.refused
  // A new network and a new account, while the flood's 64 are waiting.
  const newcomer = send('reviewer@example.com', 'password123', '203.0.113.9')
  const turns = await gate.turnsUntil(({ share }) => share.startsWith('203.0.113.9'))
  assert.ok(turns <= 3, `it was the ${turns}th turn: behind the one at work and at most one more`)
  assert.equal((await newcomer).status, 200)
  gate.open()
  const statuses = (await one.replies).map(({ status }) => status)
  const count = (wanted: number) => statuses.filter((status) => status === wanted).length
  assert.equal(count(401), 31, 'as many as a network may fail')
  assert.equal(count(401) + count(429) + count(503), 200)
})

describe('the queue', () => {
  /** Work that the test ends. */
  function createWork(maxWaiting: number) {
    const queue = createFairQueue(1, maxWaiting)
    const order: string[] = []
    const refused: string[] = []
    const finish: (() => void)[] = []
    const join = (name: string, turn: Turn): Promise<void> =>
      queue
        .inTurn(turn, async () => {
          order.push(name)
          await new Promise<void>((resolve) => finish.push(resolve))
        })
        .catch((error: { status: number }) => {
          assert.equal(error.status, 503)
          refused.push(name)
        })
    const drain = async (all: readonly Promise<void>[]): Promise<void> => {
      let done = false
      void Promise.all(all).then(() => {
        done = true
      })
      while (!done) {
        finish.shift()?.()
        await Promise.resolve()
      }
    }
    return { join, drain, order, refused }
  }
  const stranger = (share: string): Turn => ({ share, known: false })
  const known = (share: string): Turn => ({ share, known: true })

  test('networks take turns, each in order of arrival', async () => {
    const work = createWork(10)
    const calls = ['a0', 'a1', 'a2', 'a3', 'b1', 'c1', 'b2'].map((name) => work.join(name, stranger(name.charAt(0))))
    await work.drain(calls)
    assert.deepEqual(work.order, ['a0', 'a1', 'b1', 'c1', 'a2', 'b2', 'a3'])
  })

  test('the networks of one IPv6 /48 share its turns, and a full line loses their places first', async () => {
    const work = createWork(4)
    const calls = [
      '2001:db8:1:1::1',
      '2001:db8:1:2::1',
      '2001:db8:1:100::1',
      '2001:db8:1:101::1',
      '2001:db8:2::1',
      '192.0.2.1',
    ].map((address) => work.join(address, stranger(address)))
    await work.drain(calls)
    assert.deepEqual(work.refused, ['2001:db8:1:100::1'])
    assert.deepEqual(work.order, [
      '2001:db8:1:1::1',
      '2001:db8:1:2::1',
      '2001:db8:2::1',
      '192.0.2.1',
      '2001:db8:1:101::1',
    ])
  })

  test('when it is full, the network with the most places loses its last one to a network with fewer', async () => {
    const work = createWork(4)
    const calls = ['a0', 'a1', 'a2', 'a3', 'a4', 'a5', 'b1', 'b2', 'b3', 'c1'].map((name) =>
      work.join(name, stranger(name.charAt(0))),
    )
    await work.drain(calls)
    assert.deepEqual(work.refused, ['a5', 'a4', 'a3', 'b3', 'a2'])
    assert.deepEqual(work.order, ['a0', 'a1', 'b1', 'c1', 'b2'])
  })

  test('one network can fill the whole queue if no other wants it, and a finished job frees its place', async () => {
    const work = createWork(3)
    const calls = ['a0', 'a1', 'a2', 'a3', 'a4'].map((name) => work.join(name, stranger('a')))
    await work.drain(calls)
    assert.deepEqual(work.order, ['a0', 'a1', 'a2', 'a3'])
    assert.deepEqual(work.refused, ['a4'])
    await work.drain([work.join('a5', stranger('a'))])
    assert.deepEqual(work.order.at(-1), 'a5')
  })

  test('known people have a queue of their own, served in turns with that of strangers', async () => {
    const work = createWork(2)
    const calls = [
      work.join('s0', stranger('s')),
      work.join('s1', stranger('s')),
      work.join('t1', stranger('t')),
      work.join('u1', stranger('u')),
      work.join('k1', known('k')),
      work.join('k2', known('k')),
    ]
    await work.drain(calls)
    assert.deepEqual(work.refused, ['u1'])
    assert.deepEqual(work.order, ['s0', 'k1', 's1', 'k2', 't1'])
  })

  test('an IPv6 /64 is one network, whatever addresses it writes', async () => {
    const work = createWork(10)
    const calls = [
      work.join('x', stranger('2001:db8::1')),
      work.join('a1', stranger('2001:db8::1')),
      work.join('a2', stranger('2001:DB8:0:0::2')),
      work.join('b1', stranger('192.0.2.1')),
      work.join('b2', stranger('::ffff:192.0.2.1')),
    ]
    await work.drain(calls)
    assert.deepEqual(work.order, ['x', 'a1', 'b1', 'a2', 'b2'])
  })

  test('a place is free again after work that failed', async () => {
    const passwords = createPasswords({ maxWaiting: 0, cost: 4 })
    await assert.rejects(passwords.hash('x'.repeat(100)), 'longer than bcrypt reads')
    assert.match(await passwords.hash('correct horse'), /^\$2/)
  })

  test('503 when it is full', async () => {
    const passwords = createPasswords({ maxWaiting: 2, cost: 4 })
    const calls = [1, 2, 3].map(() => passwords.verify('wrong', null))
    await assert.rejects(passwords.verify('wrong', null), { status: 503 })
    assert.deepEqual(await Promise.all(calls), [false, false, false])
  })
})
