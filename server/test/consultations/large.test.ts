import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import canonicalize from 'canonicalize'
import { maxJsonDepth } from '../../src/platform/json.ts'
import { largeBytes } from '../../src/platform/large-json.ts'
import { startTestApp, type TestApp } from '../harness.ts'

let t: TestApp
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())

const path = '/api/v1/requests'
const headers = { 'content-type': 'application/json' }
const post = (payload: string, to = path) => t.call('POST', to, { as: t.apiKey, payload, headers })
const filler = 'x'.repeat(largeBytes)

describe('a large body is read in a thread, and understood as a small one is', () => {
  test('what was sent comes back, with its digest; it can be shown, answered and used', async () => {
    const context = { filler, list: [1, 1.5, { ä: null }], nested: { z: 1, a: [true, ''] } }
    const created = await t.createRequest({ title: 'Large?', description: 'ö', context, metadata: { filler, b: 2 } })
    const { id, digest } = created
    assert.deepEqual([created.context, created.metadata], [context, { filler, b: 2 }])
    assert.equal(digest, hash('sha256', canonicalize({ context, description: 'ö', title: 'Large?' }) ?? ''))
    const shown = await t.call('GET', `${path}/${id}`, { as: t.reviewer.token })
    assert.deepEqual([shown.status, shown.body.digest], [200, digest])
    const answer = { decision: 'approve', digest }
    const answered = await t.call('POST', `${path}/${id}/respond`, { as: t.reviewer.token, body: answer })
    assert.equal(answered.status, 200, answered.text)
    assert.equal((await post(JSON.stringify({ digest }), `${path}/${id}/redeem`)).status, 200)
  })

  const whole = (members: string) => `{"title":"x","metadata":{"a":"${filler}"},${members}}`
  for (const [status, at, what, payload] of [
    [422, 'contxt', 'an unknown member', whole('"context":{},"contxt":{}')],
    [422, 'context', 'a missing one', whole('"description":"x"')],
    [422, 'context', 'a list in place of an object', whole('"context":[]')],
    [422, 'timeout_minutes', 'a wrong number', whole('"context":{},"timeout_minutes":0')],
    [422, 'context.a', 'a name twice', whole('"context":{"a":1,"a":1}')],
    [422, 'context.a', 'a number that is not kept', whole('"context":{"a":1e400}')],
    [422, 'context.a', 'U+0000', whole('"context":{"a":"\\u0000"}')],
    [422, undefined, 'no object', JSON.stringify(filler)],
    [400, undefined, 'no JSON', `${whole('"context":{}')}}`],
  ] as const) {
    test(`${status} for ${what}`, async () => {
      const reply = await post(payload)
      assert.equal(reply.status, status, reply.text)
      if (at !== undefined) assert.equal(reply.body.errors[0].path, at)
    })
  }

  test('an operation without a body takes no large one', async () => {
    const { id } = await t.createRequest()
    const reply = await post(JSON.stringify({ reason: filler }), `${path}/${id}/cancel`)
    assert.deepEqual([reply.status, reply.body.errors[0].path], [422, 'reason'])
  })

  test('twelve at once are each their own', async () => {
    const made = await Promise.all(Array.from({ length: 12 }, (_, at) => t.createRequest({ context: { filler, at } })))
    assert.deepEqual(
      made.map(({ context }) => context.at),
      Array.from({ length: 12 }, (_, at) => at),
    )
  })
})

/** Fills a body up to its limit of 1 MiB. */
const times = (unit: string): string =>
  Array(Math.floor(1_040_000 / (unit.length + 1)))
    .fill(unit)
    .join()
const deep = (open: string, close: string, depth = maxJsonDepth - 3) => open.repeat(depth) + 1 + close.repeat(depth)
const names = (nameOf: (at: number) => unknown) => Array.from({ length: 90_000 }, (_, at) => `"${nameOf(at)}":1`).join()

describe('no body of 1 MiB holds up the others', () => {
  const mostMs = 50
  let warm = false

  for (const [status, what, asked] of [
    [201, 'one text', `{"a":"${times('x')}"}`],
    [201, 'escapes', `{"a":"${times('\\n')}"}`],
    [201, 'short texts with escapes', `{"a":[${times('"\\n"')}]}`],
    [201, 'small numbers', `{"a":[${times('1')}]}`],
    [201, 'numbers with exponents', `{"a":[${times('1e1')}]}`],
    [201, 'long numbers', `{"a":[${times('0.1234567890123456')}]}`],
    [201, 'empty lists', `{"a":[${times('[]')}]}`],
    [201, 'empty objects', `{"a":[${times('{}')}]}`],
    [201, 'small objects', `{"a":[${times('{"a":1,"b":2}')}]}`],
    [201, 'many names', `{${names((at) => `${at.toString(36)}x`)}}`],
    [201, 'many numbers as names', `{${names((at) => (at * 7_919) % 1_000_003)}}`],
    [201, 'lists as deep as they may be', `{"a":[${times(deep('[', ']'))}]}`],
    [201, 'objects as deep as they may be', `{"a":[${times(deep('{"a":', '}'))}]}`],
    [
      422,
      '1 000 lists that are 490 deep',
      `{"a":[${Array(1_000)
        .fill(deep('[', ']', 490))
        .join()}]}`,
    ],
    [400, 'lists that never end', `{"a":${'['.repeat(1_000_000)}`],
    [422, 'one long number', `{"a":1${'0'.repeat(1_000_000)}}`],
  ] as const) {
    test(what, async (context) => {
      const payload = `{"title":"x","context":${asked}}`
      assert.ok(payload.length < 1_048_576)
      const create = () =>
        t.app.http.inject({
          method: 'POST',
          url: path,
          payload: Buffer.from(payload),
          headers: { ...headers, authorization: `Bearer ${t.apiKey}` },
        })
      if (!warm) await create()
      warm = true
      const { reply, longestMs } = await watched(create)
      assert.equal(reply.statusCode, status, reply.body.slice(0, 500))
      if (status === 422 && what.includes('deep')) assert.match(reply.body, /nested more than 100 deep/)
      context.diagnostic(`${longestMs.toFixed(1)} ms`)
      assert.ok(longestMs < mostMs, `the event loop was held for ${longestMs} ms`)
    })
  }
})

/** How long the longest turn of the event loop kept this thread computing: what else runs on the machine does not count. */
async function watched<T>(work: () => Promise<T>): Promise<{ readonly reply: T; readonly longestMs: number }> {
  const spent = () => {
    const { user, system } = process.threadCpuUsage()
    return (user + system) / 1_000
  }
  let longestMs = 0
  let at = spent()
  let next = setImmediate(look)
  function look(): void {
    const now = spent()
    longestMs = Math.max(longestMs, now - at)
    at = now
    next = setImmediate(look)
  }
  const reply = await work()
  clearImmediate(next)
  return { reply, longestMs: Math.max(longestMs, spent() - at) }
}
