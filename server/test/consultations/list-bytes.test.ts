import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startTestApp, type TestApp } from '../harness.ts'
import { addApiKey } from '../people-and-keys.ts'

const mebibyte = 1_048_576

let t: TestApp
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())

/** The requests of a key of its own, newest first, and its list. */
async function asked(bodies: readonly object[]) {
  const { raw: as } = await addApiKey(t)
  const ids: string[] = []
  for (const [n, body] of bodies.entries()) {
    const reply = await t.call('POST', '/api/v1/requests', { as, body: { title: String(n), ...body } })
    assert.equal(reply.status, 201, reply.text)
    ids.unshift(reply.body.id)
  }
  const page = async (query: string) => {
    const reply = await t.call('GET', `/api/v1/requests?${query}`, { as })
    assert.equal(reply.status, 200, reply.text)
    return reply
  }
  /** All pages, one after the other. */
  const pages = async (query: string) => {
    const replies = [await page(query)]
    for (let cursor = replies[0]?.body.next_cursor; cursor !== null; cursor = replies.at(-1)?.body.next_cursor) {
      replies.push(await page(`${query}&cursor=${cursor}`))
    }
    return replies
  }
  return { ids, page, pages }
}

/** An object whose JSON has this many bytes. */
const ofBytes = (bytes: number): object => ({ a: 'x'.repeat(bytes - 8) })

describe('a list is light', () => {
  test('context and metadata above 4 KiB are {} and say so; up to 4 KiB they are there', async () => {
    const { page } = await asked([
      { context: ofBytes(4_096), metadata: ofBytes(4_097) },
      { context: ofBytes(4_097), metadata: ofBytes(4_096) },
      { context: {}, metadata: null },
      // In UTF-8: 'ü' has two bytes.
      { context: { a: 'ü'.repeat(2_045) } },
    ])
    const items = (await page('')).body.items as readonly Readonly<Record<string, unknown>>[]
    const flags = items.map(({ context, metadata, context_truncated, metadata_truncated }) => [
      JSON.stringify(context).length > 2,
      context_truncated,
      metadata === null ? null : JSON.stringify(metadata).length > 2,
      metadata_truncated,
    ])
    assert.deepEqual(flags, [
      [false, true, null, undefined],
      [false, undefined, null, undefined],
      [false, true, true, undefined],
      [true, undefined, false, true],
    ])
  })

  test('fields=full brings them back, and one request always has everything', async () => {
    const context = ofBytes(100_000)
    const { ids, page } = await asked([{ context, metadata: context }])
    const [item] = (await page('fields=full')).body.items
    assert.deepEqual([item.context, item.metadata, 'context_truncated' in item], [context, context, false])
    const one = await t.call('GET', `/api/v1/requests/${ids[0]}`, { as: t.admin.token })
    assert.deepEqual(one.body.context, context)
  })

  test('100 requests of a megabyte make a small page', async () => {
    const large = ofBytes(1_000_000)
    const { page } = await asked(Array.from({ length: 10 }, () => ({ context: large })))
    assert.ok((await page('limit=100')).text.length < 20_000)
  })
})

describe('the items of a page come to at most 1 MiB, or are one', () => {
  for (const [what, query, bodies, expected] of [
    [
      'full contexts',
      'limit=100&fields=full',
      [400_000, 1_000_000, 10, 500_000, 500_000, 300_000].map((bytes) => ({ context: ofBytes(bytes) })),
      [2, 2, 1, 1],
    ],
    [
      'descriptions whose characters need six bytes each',
      'limit=100',
      Array.from({ length: 4 }, () => ({ context: {}, description: '\u0001'.repeat(90_000) })),
      [1, 1, 1, 1],
    ],
    [
      'many middling ones',
      'limit=100&fields=full',
      Array.from({ length: 30 }, () => ({ context: ofBytes(50_000), metadata: ofBytes(4_000) })),
      [18, 12],
    ],
  ] as const) {
    test(what, async () => {
      const { ids, pages } = await asked(bodies)
      const replies = await pages(query)
      const lengths = replies.map(({ body }) => body.items.length as number)
      assert.deepEqual(lengths, expected)
      assert.deepEqual(
        replies.flatMap(({ body }) => body.items.map(({ id }: { id: string }) => id)),
        ids,
      )
      for (const { text, body } of replies) {
        assert.equal(body.total, bodies.length)
        assert.ok(body.items.length === 1 || text.length < mebibyte, `${text.length}`)
      }
    })
  }

  test('fewer than limit, and still in the order of the offset', async () => {
    const { ids, page } = await asked(Array.from({ length: 4 }, () => ({ context: ofBytes(600_000) })))
    const { body } = await page('fields=full&limit=2&offset=1')
    assert.deepEqual(
      body.items.map(({ id }: { id: string }) => id),
      [ids[1]],
    )
    assert.notEqual(body.next_cursor, null)
  })
})
