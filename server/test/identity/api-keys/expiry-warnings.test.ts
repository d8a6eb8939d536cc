import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { App } from '../../../src/app.ts'
import { type CallOptions, type Reply, startTestApp, type TestApp } from '../../harness.ts'
import { recordedEvents } from '../../recorded-events.ts'
import { newSession } from '../factors/people.ts'
import { startOther } from '../two-processes.ts'

const keys = '/api/v1/api-keys'
const dayMs = 86_400_000
let t: TestApp
let other: App
before(async () => {
  t = await startTestApp()
  other = await startOther(t)
})
after(async () => {
  await other.stop()
  await t.stop()
})

const admin = async (method: string, path: string, options: CallOptions = {}): Promise<Reply> => {
  const as = await newSession(t, { organizationId: t.organizationId, id: t.admin.id })
  return t.call(method, path, { as, ...options })
}
const inDays = (days: number): string => new Date(t.clock.now().getTime() + days * dayMs).toISOString()
const create = async (days: number): Promise<{ readonly id: string; readonly agent_id: string }> => {
  const reply = await admin('POST', keys, { body: { name: 'agent', expires_at: inDays(days) } })
  assert.equal(reply.status, 201, reply.text)
  return reply.body
}
const told = async (id: string) => {
  await Promise.all([t.app.drain(), other.drain()])
  const events = await recordedEvents(t.sql, { subject: id, kinds: ['api_key.expiring'] })
  return events.map(({ actor, after }) => ({ actor_kind: actor.kind, after }))
}

test('api_key.expiring is recorded once, 30 days before the expiry, by whichever process is first', async () => {
  const { id, agent_id } = await create(100)
  const event = { actor_kind: 'timer', after: { agent_id, expires_at: inDays(100) } }
  t.clock.advance(70 * dayMs - 1)
  assert.deepEqual(await told(id), [])
  t.clock.advance(1)
  assert.deepEqual(await told(id), [event])
  t.clock.advance(40 * dayMs)
  assert.deepEqual(await told(id), [event])
})

test('a key for a week gets its warning in the second half of its life', async () => {
  const { id } = await create(7)
  t.clock.advance(3.5 * dayMs - 1)
  assert.equal((await told(id)).length, 0)
  t.clock.advance(1)
  assert.equal((await told(id)).length, 1)
})

test('no warning for a key that was revoked or replaced; a new expiry gets a new warning', async () => {
  const [revoked, replaced, restored, moved] = [await create(60), await create(60), await create(60), await create(60)]
  const change = async (id: string, body: object) => {
    const reply = await admin('PATCH', `${keys}/${id}`, { body })
    assert.equal(reply.status, 200, reply.text)
  }
  await change(revoked.id, { is_active: false })
  await change(restored.id, { is_active: false })
  await change(restored.id, { is_active: true })
  const { body: fresh } = await admin('POST', `${keys}/${replaced.id}/rotate`, { body: {} })
  t.clock.advance(30 * dayMs)
  const counts = async () => {
    const found = []
    for (const { id } of [revoked, replaced, fresh, restored, moved]) found.push((await told(id)).length)
    return found
  }
  assert.deepEqual(await counts(), [0, 0, 1, 1, 1])
  await change(moved.id, { expires_at: inDays(100) })
  assert.deepEqual(await counts(), [0, 0, 1, 1, 1])
  t.clock.advance(70 * dayMs)
  assert.deepEqual(await counts(), [0, 0, 1, 1, 2])
})
