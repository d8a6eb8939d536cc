import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, mock, test } from 'node:test'
import { signedInAs, wire } from '../wire.ts'

const { forgetOthers } = await import('../../src/app/forget-others.ts')
const { signIn } = await import('../../src/api/session.ts')
const { look, lookAway } = await import('../../src/live/look.ts')
const { forgetPresence, othersAt, presences, present } = await import('../../src/live/presence.ts')

forgetOthers()
const ben = { id: 'ben', name: 'Ben Berg' }
const ana = { id: 'ana', name: 'Ana Alt' }
const told = () => wire.calls.map(({ body }) => (body as { readonly request_id: string | null }).request_id)
/** Each call is begun by a timer, and reaches the wire a few promises later. */
const pass = async (ms: number): Promise<void> => {
  mock.timers.tick(ms)
  for (let turn = 0; turn < 3; turn += 1) await new Promise(setImmediate)
}

beforeEach(async () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  wire.replies(() => signedInAs('ana'))
  await signIn('ana@example.com', 'a long walk home')
  wire.replies(() => ({ status: 204, body: undefined }))
})
afterEach(async () => {
  lookAway(true)
  mock.timers.reset()
})

describe('who looks', () => {
  test('is each message’s, without oneself', () => {
    present({ request_id: 'a', people: [ana, ben] })
    present({ request_id: 'b', people: [ana] })
    assert.deepEqual([othersAt('a'), othersAt('b')], [[ben], []])
    assert.deepEqual(presences(), [{ request_id: 'a', people: [ben] }])
    present({ request_id: 'a', people: [] })
    assert.deepEqual(othersAt('a'), [])
  })

  test('is the same list until it changes, so that nothing is drawn again', () => {
    present({ request_id: 'a', people: [ben] })
    const before = othersAt('a')
    present({ request_id: 'b', people: [ben] })
    assert.equal(othersAt('a'), before)
    assert.equal(othersAt('nobody'), othersAt('nobody either'))
  })

  test('is forgotten with the stream, and with the person', async () => {
    present({ request_id: 'a', people: [ben] })
    forgetPresence()
    assert.deepEqual(presences(), [])
    present({ request_id: 'a', people: [ben] })
    wire.replies(() => signedInAs('ida'))
    await signIn('ida@example.com', 'a long walk home')
    assert.deepEqual(presences(), [])
  })
})

describe('saying that one looks', () => {
  test('a way through many requests says only where it ends', async () => {
    for (const id of ['a', 'b', 'c']) {
      look(id)
      await pass(100)
      if (id !== 'c') lookAway(false)
    }
    assert.deepEqual(told(), [])
    await pass(200)
    assert.deepEqual(told(), ['c'])
  })

  test('every 20 s, until the page is hidden, which is said at once', async () => {
    look('a')
    await pass(300)
    for (const _ of [1, 2]) await pass(20_000)
    assert.deepEqual(told(), ['a', 'a', 'a'])
    lookAway(true)
    await pass(0)
    await pass(60_000)
    assert.deepEqual(told(), ['a', 'a', 'a', null])
    lookAway(true)
    await pass(0)
    assert.equal(told().length, 4, 'once')
  })

  test('one that was lost is said again', async () => {
    wire.replies(() => {
      throw new TypeError('Failed to fetch')
    })
    look('a')
    await pass(300)
    await pass(20_000)
    assert.deepEqual(told(), ['a', 'a'])
  })

  test('the next person takes nothing back', async () => {
    look('a')
    await pass(300)
    wire.replies(() => signedInAs('ida'))
    await signIn('ida@example.com', 'a long walk home')
    wire.replies(() => ({ status: 204, body: undefined }))
    lookAway(true)
    await pass(0)
    assert.deepEqual(told(), [])
  })
})
