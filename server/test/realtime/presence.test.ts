import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createPresence, presenceMs } from '../../src/realtime/presence.ts'

const ana = { userId: 'ana', name: 'Ana' }
const ben = { userId: 'ben', name: null }

/** Who looks at what, as messages tell it. */
const told = (presence: ReturnType<typeof createPresence>, organization: string, ids?: readonly string[]) =>
  Object.fromEntries(
    presence.messages(organization, ids === undefined ? undefined : new Set(ids)).map(({ data }) => {
      const { request_id: id, people } = JSON.parse(data)
      return [id, people.map((one: { id: string }) => one.id)]
    }),
  )

describe('who looks at which request', () => {
  test('one request at a time; what is touched is the one before and the one now', () => {
    const presence = createPresence()
    assert.deepEqual(presence.look('one', ana, 'a'), new Set(['a']))
    assert.deepEqual(presence.look('one', ana, 'a'), new Set())
    assert.deepEqual(presence.look('one', ben, 'a'), new Set(['a']))
    assert.deepEqual(told(presence, 'one'), { a: ['ana', 'ben'] })
    assert.deepEqual(presence.look('one', ana, 'b'), new Set(['a', 'b']))
    assert.deepEqual(told(presence, 'one', ['a', 'b', 'c']), { a: ['ben'], b: ['ana'], c: [] })
    assert.deepEqual(presence.look('one', ana, null), new Set(['b']))
    assert.deepEqual(presence.look('one', ana, null), new Set())
    assert.deepEqual(told(presence, 'one', ['b']), { b: [] })
  })

  test('each organization by itself', () => {
    const presence = createPresence()
    presence.look('one', ana, 'a')
    assert.deepEqual(told(presence, 'two'), {})
  })

  test('of whom nothing was heard for 45 s is forgotten; who says so again is not', () => {
    let now = 0
    const presence = createPresence(() => now)
    presence.look('one', ana, 'a')
    presence.look('one', ben, 'b')
    now += presenceMs - 1
    presence.look('one', ben, 'b')
    assert.deepEqual(presence.expire(), new Map())
    now += 1
    assert.deepEqual(presence.expire(), new Map([['one', new Set(['a'])]]))
    assert.deepEqual(told(presence, 'one'), { b: ['ben'] })
  })

  test('a thousand people of an organization at most', () => {
    const presence = createPresence()
    for (let n = 0; n < 1_000; n += 1) presence.look('one', { userId: String(n), name: null }, 'a')
    assert.deepEqual(presence.look('one', ana, 'a'), new Set())
    assert.deepEqual(presence.look('two', ana, 'a'), new Set(['a']))
  })
})
