import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Creation, createOnce, type Earlier, type Idempotency } from '../../src/platform/idempotency.ts'
import { Problem, refusal } from '../../src/platform/problem.ts'

const hash = Buffer.from('a body')
const idempotency: Idempotency = { key: 'k-1', hash, isOf: (stored) => stored?.equals(hash) === true }
const taken = refusal(409, 'test.taken', 'Another thing has this name.')

/** Rows by key, as a store would keep them. Records its calls in `calls`. */
function thing(earlier: Earlier<string> | null, inserted: string | null, more: Partial<Creation<string>> = {}) {
  const calls: string[] = []
  const creation: Creation<string> = {
    insert: async () => {
      calls.push('insert')
      return inserted
    },
    find: async (key) => {
      calls.push(`find ${key}`)
      return earlier
    },
    ...more,
  }
  return { calls, creation }
}

test('a first call inserts without a look-up', async () => {
  const { calls, creation } = thing(null, 'new')
  assert.deepEqual(await createOnce(idempotency, creation), { made: 'new', replayed: false })
  assert.deepEqual(calls, ['insert'])
})

test('a repetition returns the earlier row as in its first reply', async () => {
  const { creation } = thing({ made: 'earlier', hash }, null, { initialReply: (made) => `${made}, at first` })
  assert.deepEqual(await createOnce(idempotency, creation), { made: 'earlier, at first', replayed: true })
})

test('with findFirst a repetition inserts nothing', async () => {
  const { calls, creation } = thing({ made: 'earlier', hash }, 'new', { findFirst: true })
  assert.deepEqual(await createOnce(idempotency, creation), { made: 'earlier', replayed: true })
  assert.deepEqual(calls, ['find k-1'])
})

test('422 idempotency.body_differs for the same key with another body', async () => {
  const { creation } = thing({ made: 'earlier', hash: Buffer.from('another body') }, null)
  await assert.rejects(createOnce(idempotency, creation), { status: 422, code: 'idempotency.body_differs' })
})

for (const key of [idempotency, null]) {
  test(`the refusal for what is taken when ${key === null ? 'no key came' : 'no earlier call had the key'}`, async () => {
    const { creation } = thing(null, null, { taken })
    await assert.rejects(createOnce(key, creation), (error) => error instanceof Problem && error.code === 'test.taken')
  })
}
