import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { test } from 'node:test'
import { createLog } from '../../src/platform/log.ts'
import { createLoop } from '../../src/platform/loop.ts'
import { eventually } from '../eventually.ts'

test('no round of a loop is a part of the call that woke it', async () => {
  const call = new AsyncLocalStorage<string>()
  const seen: (string | undefined)[] = []
  const loop = createLoop('test', 1, createLog('silent', false), async () => {
    seen.push(call.getStore())
    return false
  })
  call.run('the call that starts it', loop.start)
  await eventually('it ran', () => seen.length > 0)
  call.run('a call that wakes it', loop.wake)
  const rounds = seen.length + 5
  await eventually('some more rounds', () => seen.length >= rounds)
  await loop.stop()
  assert.deepEqual(new Set(seen), new Set([undefined]))
})
