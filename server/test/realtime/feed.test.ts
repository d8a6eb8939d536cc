import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { systemClock } from '../../src/platform/clock.ts'
import { newId } from '../../src/platform/ids.ts'
import { createLog } from '../../src/platform/log.ts'
import { type Changed, createFeed, type FeedSource, type Subscriber } from '../../src/realtime/feed.ts'
import type { Message } from '../../src/realtime/messages.ts'
import { idOf, isBefore } from '../../src/realtime/position.ts'
import { createPresence } from '../../src/realtime/presence.ts'
import { eventually } from '../eventually.ts'

/** A feed over rows that the test writes, reads that it holds up and fails, and a time that it moves. */
function createScene() {
  let ms = 1_000_000
  let elapsedMs = 0
  const rows = new Map<string, Changed[]>()
  const numbers = new Map<string, string>()
  const counted: string[] = []
  const before = new Map<string, () => Promise<void>>()
  const source: FeedSource = {
    newestChange: () => new Date(ms),
    settledUntil: async () => new Date(ms),
    changesAfter: async (organizationId, after, until) => {
      await before.get(`read ${organizationId}`)?.()
      return (rows.get(organizationId) ?? []).filter(({ at }) => isBefore(after, at) && at.ms <= until.getTime())
    },
    changedOrganizations: async () => [],
    counts: async (organizationId, userIds) => {
      counted.push(organizationId)
      const [now] = [new Map(numbers)]
      await before.get(`count ${organizationId}`)?.()
      return (userId) => (userIds.includes(userId) ? (now.get(organizationId) ?? '{}') : assert.fail('was not asked'))
    },
  }
  const feed = createFeed(
    { source, presence: createPresence(), clock: systemClock, log: createLog('silent', false) },
    () => elapsedMs,
  )
  return {
    feed,
    counted,
    before,
    numbers,
    pass: (passed: number) => {
      elapsedMs += passed
    },
    change: (organizationId: string): string => {
      ms += 1
      const at = { ms, id: newId() }
      rows.set(organizationId, [...(rows.get(organizationId) ?? []), { at, createdMs: ms, json: `"${at.id}"` }])
      feed.changed([organizationId])
      return idOf(at)
    },
    join: (organizationId: string, { userId = newId(), lastEventId = null as string | null } = {}) => {
      const messages: Message[] = []
      const subscriber: Subscriber = {
        organizationId,
        userId,
        lastEventId,
        send: (batch) => void messages.push(...batch.messages),
      }
      feed.join(subscriber)
      return {
        ids: () => messages.filter(({ event }) => event.startsWith('request.')).map(({ id }) => id),
        counts: () => messages.filter(({ event }) => event === 'counts').map(({ data }) => data),
      }
    },
  }
}

describe('where one organization fails', () => {
  test('no round begins before all of the last one has ended, and a newcomer elsewhere misses nothing', async () => {
    const { feed, before, change, join } = createScene()
    const [broken, whole] = [newId(), newId()]
    join(broken)
    const follower = join(whole)
    await feed.drain()
    const missed = change(whole)
    await feed.drain()

    // Its read takes long, and meanwhile the other organization fails.
    const gate = Promise.withResolvers<void>()
    const newcomer = join(whole, { lastEventId: '1-00000000-0000-0000-0000-000000000000' })
    before.set(`read ${whole}`, () => gate.promise)
    let failures = 0
    before.set(`read ${broken}`, async () => {
      failures += 1
      throw new Error('it cannot be read')
    })
    change(broken)
    const round = feed.drain().then(
      () => 'worked',
      (error: Error) => error.message,
    )
    await eventually('one has failed', () => failures > 0)
    const late = change(whole)
    const turns = (async () => {
      for (let n = 0; n < 10; n += 1) await new Promise(setImmediate)
      return 'goes on'
    })()
    assert.equal(await Promise.race([round, turns]), 'goes on')
    gate.resolve()
    assert.equal(await round, 'it cannot be read')

    before.clear()
    await feed.drain()
    for (const { ids } of [follower, newcomer]) assert.deepEqual(ids(), [missed, late])
  })
})

describe('the counts', () => {
  test('that failed come with the next look', async () => {
    const { feed, before, numbers, pass, change, join } = createScene()
    const organization = newId()
    const follower = join(organization)
    numbers.set(organization, '{"all":1}')
    await feed.drain()
    change(organization)
    numbers.set(organization, '{"all":2}')
    before.set(`count ${organization}`, async () => {
      throw new Error('it cannot be counted')
    })
    pass(1_000)
    await assert.rejects(feed.drain(), /it cannot be counted/)
    before.clear()
    pass(1_000)
    await feed.drain()
    assert.deepEqual(follower.counts(), ['{"all":1}', '{"all":2}'])
  })

  test('are read at most once a second, however many come; who is there already has them for a new page', async () => {
    const { feed, counted, numbers, pass, change, join } = createScene()
    const organization = newId()
    const userId = newId()
    numbers.set(organization, '{"all":1}')
    const first = join(organization, { userId })
    await feed.drain()
    assert.equal(counted.length, 1)
    const others: ReturnType<typeof join>[] = []
    for (let n = 0; n < 5; n += 1) {
      pass(100)
      const second = join(organization, { userId })
      others.push(join(organization))
      change(organization)
      await feed.drain()
      assert.deepEqual(second.counts(), ['{"all":1}'])
    }
    assert.equal(counted.length, 1)
    pass(500)
    numbers.set(organization, '{"all":6}')
    await feed.drain()
    assert.equal(counted.length, 2)
    assert.deepEqual(first.counts(), ['{"all":1}', '{"all":6}'])
    for (const { counts } of others) assert.deepEqual(counts(), ['{"all":6}'])
    pass(30_000)
    await feed.drain()
    assert.equal(counted.length, 2, 'nothing has changed')
  })
})
