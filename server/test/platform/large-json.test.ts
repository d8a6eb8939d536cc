import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Worker } from 'node:worker_threads'
import type { JsonText } from '../../src/platform/json.ts'
import { largeDigest } from '../../src/platform/large-json.ts'

test('a thread that failed is replaced: its call rejects, calls that wait and later ones get their digest', async () => {
  const good = () => largeDigest('{"b":1,"a":2}' as JsonText, ['a'])
  const digest = await good()
  const [failed, waiting] = await Promise.allSettled([largeDigest('{' as JsonText, ['a']), good()])
  assert.equal(failed.status, 'rejected')
  assert.deepEqual(waiting, { status: 'fulfilled', value: digest })
  assert.equal(await good(), digest)
})

test('payers take turns: one that sends forty texts holds up another by the one at work and one more', async () => {
  const done: string[] = []
  const digest = async (payer: string, n: number) => {
    await largeDigest(JSON.stringify({ n }) as JsonText, [payer])
    done.push(payer)
  }
  const many = Array.from({ length: 40 }, (_, n) => digest('flood', n))
  await digest('other', 0)
  assert.ok(done.length <= 3, `it came after ${done.length - 1} others`)
  await Promise.all(many)
  assert.equal(done.length, 41)
})

test('a thread that fails while nobody waits for it ends nothing else, and is replaced', async () => {
  const good = () => largeDigest('{"b":1,"a":2}' as JsonText, ['a'])
  await Promise.allSettled([largeDigest('{' as JsonText, ['a'])])
  const started: Worker[] = []
  process.on('worker', (worker) => started.push(worker))
  const digest = await good()
  const [thread] = started
  assert.ok(thread)
  thread.ref()
  const exit = new Promise((resolve) => thread.once('exit', resolve))
  thread.postMessage('no task')
  await exit
  assert.equal(await good(), digest)
  assert.equal(started.length, 2)
})
