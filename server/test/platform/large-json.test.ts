import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonText } from '../../src/platform/json.ts'
import { largeDigest } from '../../src/platform/large-json.ts'

test('a thread that failed is replaced: its call rejects, calls that wait and later ones get their digest', async () => {
  const good = () => largeDigest('{"b":1,"a":2}' as JsonText)
  const digest = await good()
  const [failed, waiting] = await Promise.allSettled([largeDigest('{' as JsonText), good()])
  assert.equal(failed.status, 'rejected')
  assert.deepEqual(waiting, { status: 'fulfilled', value: digest })
  assert.equal(await good(), digest)
})
