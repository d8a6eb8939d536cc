import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startTestApp, type TestApp } from './harness.ts'
import { startReceiver } from './receivers.ts'

let t: TestApp
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())

test('a request is created, answered by a person, and the answer is called back', async () => {
  const receiver = await startReceiver({})
  const created = await t.createRequest({
    callback_webhook: receiver.url,
    callback_secret: 'shared secret',
    metadata: { run: 7 },
  })
  assert.equal(created.state, 'pending')
  const answered = await t.call('POST', `/api/v1/requests/${created.id}/respond`, {
    as: t.reviewer.token,
    body: { decision: 'approve', comment: 'go' },
  })
  assert.equal(answered.status, 200, answered.text)
  assert.equal(answered.body.state, 'responded')
  await t.app.drain()
  const read = await t.call('GET', `/api/v1/requests/${created.id}`, { as: t.apiKey })
  assert.equal(read.body.state, 'callback_sent')
  const [post] = receiver.requests
  assert.ok(post)
  const body = JSON.parse(post.body.toString())
  assert.equal(body.request_id, created.id)
  assert.deepEqual(body.metadata, { run: 7 })
  await receiver.close()
})
