import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createPasswords } from '../../src/identity/passwords.ts'
import { startTestApp } from '../harness.ts'

test('a flood of logins gets 503 with Retry-After beyond the queue, and the rest of the API goes on answering', async (context) => {
  const t = await startTestApp()
  context.after(() => t.stop())
  let open = 0
  const flood = Array.from({ length: 80 }, async () => {
    open += 1
    const reply = await t.call('POST', '/api/v1/auth/login', {
      body: { username: 'nobody@example.com', password: 'wrong' },
    })
    open -= 1
    return reply
  })
  // The first refusals come while the queue is full: what is asked now is asked in the middle of the flood.
  const refused = await Promise.any(
    flood.map(async (call) => {
      const reply = await call
      assert.equal(reply.status, 503)
      return reply
    }),
  )
  assert.match(String(refused.headers['retry-after']), /^\d+$/)
  assert.equal(refused.body.code, 'service.unavailable')
  for (const [path, as] of [
    ['/api/v1/auth/me', t.admin.token],
    ['/api/v1/requests', t.apiKey],
    ['/api/v1/health', undefined],
  ] as const) {
    assert.equal((await t.call('GET', path, as === undefined ? {} : { as })).status, 200)
  }
  assert.equal((await t.createRequest()).state, 'pending')
  assert.ok(open > 30, `${open} logins are still waiting: the answers above did not wait for them`)

  const replies = await Promise.all(flood)
  const statuses = replies.map((reply) => reply.status)
  assert.equal(statuses.filter((status) => status === 401).length, 65, 'one at work and 64 waiting are answered')
  assert.equal(statuses.filter((status) => status === 503).length, 15)
  const afterwards = await t.call('POST', '/api/v1/auth/login', {
    body: { username: 'admin@example.com', password: 'password123' },
  })
  assert.equal(afterwards.status, 200, 'the queue is free again')
})

describe('the queue of hashes', () => {
  test('a place is free again after work that failed', async () => {
    const passwords = createPasswords(1, 0)
    await assert.rejects(passwords.hash('x'.repeat(100)), 'longer than bcrypt reads')
    assert.match(await passwords.hash('correct horse'), /^\$2/)
  })

  test('who waits is served in order', async () => {
    const passwords = createPasswords(1, 2)
    const order: number[] = []
    const calls = [1, 2, 3].map(async (place) => {
      await passwords.verify('wrong', null)
      order.push(place)
    })
    await assert.rejects(passwords.verify('wrong', null), { status: 503 })
    await Promise.all(calls)
    assert.deepEqual(order, [1, 2, 3])
  })
})
