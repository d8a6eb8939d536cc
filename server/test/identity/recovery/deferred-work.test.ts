import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDeferredWork } from '../../../src/identity/accounts/deferred-work.ts'

const tickMs = 300

test('resolves at a tick, once the work is done, whether it took long or not', async () => {
  const defer = createDeferredWork({ leastMs: 0, mostMs: 10, tickMs })
  const done: string[] = []
  const timeOf = async (name: string, work: Promise<void>): Promise<number> => {
    const beganAt = performance.now()
    await defer(() => work.then(() => void done.push(name)))
    assert.ok(done.includes(name))
    return performance.now() - beganAt
  }
  const { promise, resolve } = Promise.withResolvers<void>()
  setTimeout(resolve, tickMs / 2)
  const times = await Promise.all([timeOf('nothing to do', Promise.resolve()), timeOf('a letter', promise)])
  // A timer may be a millisecond early.
  for (const ms of times) assert.ok(ms >= tickMs - 2, `${ms} ms`)
})

test('rejects with the error of its own work, and does that of the others', async () => {
  const defer = createDeferredWork({ leastMs: 0, mostMs: 1, tickMs: 1 })
  const [failed, other] = await Promise.allSettled([defer(() => Promise.reject(new Error('x'))), defer(async () => {})])
  assert.equal(failed.status, 'rejected')
  assert.equal(other.status, 'fulfilled')
})

test('503 for the caller beyond those that may wait', async () => {
  const defer = createDeferredWork({ leastMs: 0, mostMs: 1, tickMs: 1 })
  const all = await Promise.allSettled(Array.from({ length: 501 }, () => defer(async () => {})))
  assert.equal(all.filter(({ status }) => status === 'rejected').length, 1)
})
