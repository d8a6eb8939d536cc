import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { createBatcher, type Outcome } from '../../src/platform/batch.ts'
import { Problem, unavailable } from '../../src/platform/problem.ts'
import { eventually } from '../eventually.ts'

/** Batches that the test ends. */
function held<In>() {
  const batches: {
    readonly acts: readonly In[]
    end(outcomes?: readonly Outcome<In>[]): void
    fail(error: unknown): void
  }[] = []
  const perform = (acts: readonly In[]): Promise<readonly Outcome<In>[]> =>
    new Promise((resolve, reject) => {
      batches.push({ acts, end: (outcomes = acts.map((value) => ({ value }))) => resolve(outcomes), fail: reject })
    })
  return { batches, perform }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
const statusOf = (error: unknown): number | undefined => (error instanceof Problem ? error.status : undefined)

test('a lone act is performed at once', async () => {
  const { batches, perform } = held<number>()
  const batcher = createBatcher({ perform, concurrency: 2, maxSize: 10 })
  const done = batcher(1)
  await turn()
  assert.deepEqual(
    batches.map(({ acts }) => acts),
    [[1]],
  )
  batches[0]?.end()
  assert.equal(await done, 1)
})

test('acts of one turn share a batch, in their order; those that come while all batches are under way share the next', async () => {
  const { batches, perform } = held<number>()
  const batcher = createBatcher({ perform, concurrency: 1, maxSize: 10 })
  const first = [1, 2, 3].map(batcher)
  await turn()
  const second = [4, 5].map(batcher)
  await turn()
  const third = [6].map(batcher)
  await turn()
  assert.deepEqual(
    batches.map(({ acts }) => acts),
    [[1, 2, 3]],
  )
  batches[0]?.end()
  assert.deepEqual(await Promise.all(first), [1, 2, 3])
  await turn()
  assert.deepEqual(
    batches.map(({ acts }) => acts),
    [
      [1, 2, 3],
      [4, 5, 6],
    ],
  )
  batches[1]?.end()
  assert.deepEqual(await Promise.all([...second, ...third]), [4, 5, 6])
})

test('no more batches than the concurrency are under way, none larger than its size', async () => {
  const { batches, perform } = held<number>()
  const batcher = createBatcher({ perform, concurrency: 2, maxSize: 3 })
  const all = Array.from({ length: 10 }, (_, index) => batcher(index))
  await turn()
  assert.deepEqual(
    batches.map(({ acts }) => acts),
    [
      [0, 1, 2],
      [3, 4, 5],
    ],
  )
  batches[1]?.end()
  await turn()
  assert.deepEqual(batches.map(({ acts }) => acts).slice(2), [[6, 7, 8]])
  for (const place of [0, 2]) batches[place]?.end()
  await turn()
  batches[3]?.end()
  assert.deepEqual(await Promise.all(all), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
})

test('a batch has its group to itself where it says so; the groups take turns', async () => {
  const { batches, perform } = held<string>()
  const batcher = createBatcher({
    perform,
    concurrency: 2,
    aloneMs: 60_000,
    maxSize: 2,
    groupOf: (act) => act.charAt(0),
  })
  const begun = () => batches.map(({ acts }) => acts.join(' '))
  const all = ['a1', 'a2', 'a3', 'a4', 'a5'].map(batcher)
  await turn()
  assert.deepEqual(begun(), ['a1 a2'], 'the other place stays free for another group')
  all.push(...['b1', 'c1', 'b2', 'b3'].map(batcher))
  await turn()
  assert.deepEqual(begun().slice(1), ['b1 b2'])
  batches[1]?.end()
  await turn()
  assert.deepEqual(begun().slice(2), ['c1'], 'c has waited for longer than the rest of b')
  batches[0]?.end()
  await turn()
  assert.deepEqual(begun().slice(3), ['a3 a4'])
  batches[2]?.end()
  await turn()
  assert.deepEqual(begun().slice(4), ['b3'])
  for (const place of [3, 4]) batches[place]?.end()
  await turn()
  assert.deepEqual(begun().slice(5), ['a5'])
  batches[5]?.end()
  assert.deepEqual(await Promise.all(all), ['a1', 'a2', 'a3', 'a4', 'a5', 'b1', 'c1', 'b2', 'b3'])
})

test('a batch that takes longer than its time alone does not hold up its group', async () => {
  const { batches, perform } = held<number>()
  const batcher = createBatcher({ perform, concurrency: 2, aloneMs: 1, maxSize: 1 })
  const begun = () => batches.map(({ acts }) => acts[0])
  const all = [1, 2, 3].map(batcher)
  await eventually('the second has begun', () => begun().length === 2)
  batches[0]?.end()
  await eventually('the third has begun', () => begun().length === 3)
  assert.deepEqual(begun(), [1, 2, 3])
  for (const place of [1, 2]) batches[place]?.end()
  assert.deepEqual(await Promise.all(all), [1, 2, 3])
})

test('a refused act affects only its caller', async () => {
  const batcher = createBatcher<number, number>({
    perform: async (acts) => acts.map((act) => (act % 2 ? { error: new Error(`not ${act}`) } : { value: act * 10 })),
    concurrency: 1,
    maxSize: 10,
  })
  const settled = await Promise.allSettled([0, 1, 2, 3].map(batcher))
  assert.deepEqual(
    settled.map((one) => (one.status === 'fulfilled' ? one.value : one.reason.message)),
    [0, 'not 1', 20, 'not 3'],
  )
})

test('undefined is an outcome, but a missing outcome is an error', async () => {
  const batcher = createBatcher<number, undefined>({
    perform: async () => [{ value: undefined }],
    concurrency: 1,
    maxSize: 10,
  })
  const settled = await Promise.allSettled([1, 2].map(batcher))
  assert.deepEqual(
    settled.map(({ status }) => status),
    ['fulfilled', 'rejected'],
  )
})

describe('503 when too many wait', () => {
  test('callers that already wait are served, and later there is room again', async () => {
    const { batches, perform } = held<number>()
    const batcher = createBatcher({ perform, concurrency: 1, maxSize: 2, maxWaiting: 3 })
    const first = batcher(0)
    await turn()
    const waiting = [1, 2, 3].map(batcher)
    await assert.rejects(
      batcher(4),
      (error) => statusOf(error) === 503 && (error as Problem).headers['retry-after'] === '1',
    )
    batches[0]?.end()
    await turn()
    const again = batcher(5)
    batches[1]?.end()
    await turn()
    batches[2]?.end()
    assert.deepEqual(await Promise.all([first, ...waiting, again]), [0, 1, 2, 3, 5])
  })
})

describe('a batch that fails as a whole', () => {
  test('is tried act by act if it was rolled back: only the bad act fails', async () => {
    const performed: (readonly number[])[] = []
    const batcher = createBatcher<number, number>({
      perform: async (acts) => {
        performed.push(acts)
        if (acts.includes(3)) throw new Error('rolled back')
        return acts.map((value) => ({ value }))
      },
      concurrency: 1,
      maxSize: 10,
      rolledBack: (error) => (error as Error).message === 'rolled back',
    })
    const settled = await Promise.allSettled([1, 2, 3, 4].map(batcher))
    assert.deepEqual(
      settled.map(({ status }) => status),
      ['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
    )
    assert.deepEqual(performed, [[1, 2, 3, 4], [1], [2], [3], [4]])
  })

  for (const [when, healthy] of [
    ['at once', 0],
    ['after two of them', 2],
  ] as const) {
    test(`is not tried act by act once it is 503, ${when}: each would wait for the database in turn`, async () => {
      const performed: (readonly number[])[] = []
      const batcher = createBatcher<number, number>({
        perform: async (acts) => {
          performed.push(acts)
          if (healthy > 0 && acts.length > 1) throw new Error('one of them is bad')
          if (performed.length > healthy + 1 || healthy === 0) throw unavailable('The database is away.')
          return acts.map((value) => ({ value }))
        },
        concurrency: 1,
        maxSize: 10,
        rolledBack: () => true,
      })
      const settled = await Promise.allSettled([1, 2, 3, 4, 5].map(batcher))
      assert.deepEqual(
        settled.map((one) => (one.status === 'fulfilled' ? one.value : statusOf(one.reason))),
        [1, 2, 3, 4, 5].map((act) => (act <= healthy ? act : 503)),
      )
      assert.equal(performed.length, healthy === 0 ? 1 : healthy + 2)
    })
  }

  test('is not tried again if its outcome is unknown: every caller gets the error', async () => {
    let performed = 0
    const batcher = createBatcher<number, number>({
      perform: async () => {
        performed += 1
        throw new Error('connection lost')
      },
      concurrency: 1,
      maxSize: 10,
      rolledBack: () => false,
    })
    const settled = await Promise.allSettled([1, 2, 3].map(batcher))
    assert.deepEqual([settled.map(({ status }) => status), performed], [['rejected', 'rejected', 'rejected'], 1])
  })

  test('frees its place for the next acts', async () => {
    let fail = true
    const batcher = createBatcher<number, number>({
      perform: async (acts) => {
        if (fail) throw new Error('down')
        return acts.map((value) => ({ value }))
      },
      concurrency: 1,
      maxSize: 10,
    })
    await assert.rejects(batcher(1), /down/)
    fail = false
    assert.equal(await batcher(2), 2)
  })

  test('a perform that throws synchronously is a failure like any other', async () => {
    const batcher = createBatcher<number, number>({
      perform: () => {
        throw new Error('at once')
      },
      concurrency: 1,
      maxSize: 10,
    })
    await assert.rejects(batcher(1), /at once/)
    await assert.rejects(batcher(1), /at once/)
  })
})

test('every act is performed once, in order of arrival, and gets its own outcome', async () => {
  const bursts = fc.array(fc.nat(12), { minLength: 1, maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(
      bursts,
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 5 }),
      async (sizes, concurrency, maxSize) => {
        const started: number[] = []
        let busy = 0
        const batcher = createBatcher<number, string>({
          perform: async (acts) => {
            busy += 1
            assert.ok(busy <= concurrency && acts.length <= maxSize)
            started.push(...acts)
            await turn()
            busy -= 1
            return acts.map((act) => ({ value: `done ${act}` }))
          },
          concurrency,
          maxSize,
        })
        const results: Promise<string>[] = []
        for (const size of sizes) {
          for (let act = 0; act < size; act += 1) results.push(batcher(results.length))
          await turn()
        }
        assert.deepEqual(
          await Promise.all(results),
          results.map((_, index) => `done ${index}`),
        )
        assert.deepEqual(
          started,
          results.map((_, index) => index),
        )
      },
    ),
  )
})

test('acts of many bytes make smaller batches, and too many bytes waiting are refused with 503', async () => {
  const sizes: number[] = []
  const gate = Promise.withResolvers<void>()
  const add = createBatcher<number, number>({
    concurrency: 1,
    maxSize: 64,
    bytesOf: (bytes) => bytes,
    perform: async (acts) => {
      await gate.promise
      sizes.push(acts.length)
      return acts.map((value) => ({ value }))
    },
  })
  const mebibyte = 1_048_576
  // The first goes alone as soon as the turn ends. Then 64 MiB may wait, but no more.
  const first = add(1)
  await new Promise(setImmediate)
  const waiting = Array.from({ length: 16 }, () => add(4 * mebibyte))
  await assert.rejects(add(mebibyte), { status: 503 })
  gate.resolve()
  await Promise.all([first, ...waiting])
  assert.deepEqual(sizes, [1, ...Array.from({ length: 8 }, () => 2)])
  assert.equal(await add(100 * mebibyte), 100 * mebibyte, 'one act that is too large alone is still performed')
})
