import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { createApp } from '../../src/app.ts'
import { createLog } from '../../src/platform/log.ts'
import { secretKey, startTestApp, type TestApp, testConfig } from '../harness.ts'
import { receiverFor } from '../receivers.ts'

let t: TestApp
const lines: string[] = []
before(async () => {
  const log = createLog('error', false, { write: (line: string) => void lines.push(line) })
  t = await startTestApp({ log })
})
after(() => t.stop())

/** A cancelled request whose callback the receiver has refused once. */
async function refusedOnce(url: string) {
  const { id } = await t.createRequest({
    callback_webhook: url,
    callback_secret: 'shared with the receiver',
    callback_retry_seconds: [1, 1],
  })
  assert.equal((await t.call('POST', `/api/v1/requests/${id}/cancel`, { as: t.apiKey })).status, 200)
  await t.app.drain()
  return id as string
}
const edit = (id: string, change: string, value: unknown) =>
  t.sql(`update deliveries set ${change} where subject_id = $1`, [id, value])
const shown = async (id: string) => (await t.call('GET', `/api/v1/requests/${id}`, { as: t.apiKey })).body.callback

describe('a callback that was changed in the outbox by somebody with the database is not sent, let alone signed', () => {
  for (const [what, change, value] of [
    ['its body', 'body = replace(body, $2, \'"responded"\')', '"cancelled"'],
    ['one character of its body', 'body = body || $2', ' '],
    ['its address', 'address = $2', 'http://127.0.0.1:1/'],
    ['its address, by a letter', 'address = address || $2', 'x'],
    ['its secret taken away', 'secret = $2', null],
    ['its proof taken away', 'proof = $2', null],
    ['its proof replaced', 'proof = $2', randomBytes(32)],
  ] as const) {
    test(what, async (context) => {
      const receiver = await receiverFor(context, { behaviour: { status: 500 } })
      const id = await refusedOnce(receiver.url)
      await edit(id, change, value)
      lines.length = 0
      for (let round = 0; round < 3; round += 1) {
        t.clock.advance(5_000)
        await t.app.drain()
      }
      assert.equal(receiver.requests.length, 1, 'only what was ordered')
      const callback = await shown(id)
      assert.deepEqual([callback.status, callback.attempts], ['failed', 3])
      assert.match(callback.last_error, /changed/)
      const attempts = await t.call('GET', `/api/v1/requests/${id}/deliveries`, { as: t.apiKey })
      assert.deepEqual([attempts.body.items[0].error_code, attempts.body.items[0].status_code], ['changed', null])
      assert.ok(
        lines.some((line) => JSON.parse(line).consultation_id === id),
        lines.join(''),
      )
    })
  }

  test("another request's body, address and proof", async (context) => {
    const receiver = await receiverFor(context, { behaviour: { status: 500 } })
    const [id, other] = [await refusedOnce(receiver.url), await refusedOnce(receiver.url)]
    await t.sql(
      `update deliveries d set body = o.body, address = o.address, proof = o.proof from deliveries o
       where d.subject_id = $1 and o.subject_id = $2`,
      [id, other],
    )
    const before = receiver.requests.length
    t.clock.advance(5_000)
    await t.app.drain()
    const bodies = receiver.requests.slice(before).map(({ body }) => JSON.parse(String(body)).request_id)
    assert.deepEqual(bodies, [other])
  })

  test('one that nobody changed is sent again, by another process and under SECRET_KEY_PREVIOUS too', async (context) => {
    const receiver = await receiverFor(context, { behaviour: { status: 500 } })
    const id = await refusedOnce(receiver.url)
    const config = testConfig({ SECRET_KEY_PREVIOUS: secretKey })
    const log = createLog('silent', false)
    const next = 'the next secret key, which is long enough as well'
    const app = await createApp({ config, secretKey: next, connection: t.connection, log, clock: t.clock })
    try {
      receiver.behave({ status: 200 })
      t.clock.advance(5_000)
      await app.drain()
      assert.equal((await shown(id)).status, 'sent')
      const [first, second] = receiver.requests
      assert.deepEqual(second?.body, first?.body)
    } finally {
      await app.stop()
    }
  })
})
