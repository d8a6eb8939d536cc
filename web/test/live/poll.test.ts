import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { wire } from '../wire.ts'

const { createPoll } = await import('../../src/live/poll.ts')

const began = '2026-01-31T09:00:00.000Z'
/** The watermark of a reply that was made so many seconds later. */
const at = (seconds: number): string => new Date(Date.parse(began) + seconds * 1_000).toISOString()
const asked = (): readonly string[] => wire.calls.map(({ path }) => path)

/** A service with so many pages of changes after each time, each page read a second after the one before it. */
const pagesOfChanges = (pages: (since: string) => number): void =>
  wire.replies(({ path }) => {
    const query = new URL(path, 'http://service.test').searchParams
    const number = Number(query.get('cursor') ?? 1)
    const isLast = number >= pages(String(query.get('updated_after')))
    return {
      status: 200,
      body: { items: [{ id: `r${number}` }], next_cursor: isLast ? null : String(number + 1), watermark: at(number) },
    }
  })

describe('what changed', () => {
  let poll: ReturnType<typeof createPoll>
  beforeEach(() => {
    poll = createPoll(new AbortController().signal)
  })

  test('is read to its end, and the next poll goes on where the first page was made', async () => {
    pagesOfChanges(() => 3)
    const { requests, since } = await poll(began)
    assert.deepEqual(
      requests?.map(({ id }) => id),
      ['r1', 'r2', 'r3'],
    )
    assert.equal(since, at(1))
  })

  test('is not read one by one when it is more, and then only what came afterwards is', async () => {
    pagesOfChanges((since) => (since === began ? 100 : 1))
    const first = await poll(began)
    assert.deepEqual(first, { requests: null, since: at(1) })
    assert.equal(asked().length, 5)
    const second = await poll(first.since)
    assert.deepEqual(
      second.requests?.map(({ id }) => id),
      ['r1'],
    )
    assert.equal(asked().length, 6)
  })
})
