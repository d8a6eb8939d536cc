import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noticesAfter } from '../../src/consultations/notice-store.ts'
import { startTestApp } from '../harness.ts'
import { startReceiver } from '../receivers.ts'

test('too many is too many, also where none of those that were read is to be told now', async (context) => {
  const t = await startTestApp()
  const held: (() => void)[] = []
  const receiver = await startReceiver({ behaviour: (response) => void held.push(() => response.end('ok')) })
  context.after(() => Promise.all([t.stop(), receiver.close()]))
  await t.app.drain()
  t.clock.advance(60_000)
  const start = { at: t.clock.now(), id: 'ffffffff-ffff-ffff-ffff-ffffffffffff' }
  const asked: string[] = []
  t.clock.advance(1_000)
  for (let n = 0; n < 4; n += 1) {
    const { id } = await t.createRequest({ callback_webhook: receiver.url })
    asked.push(id)
    const body = { decision: 'approve' }
    assert.equal((await t.call('POST', `/api/v1/requests/${id}/respond`, { as: t.reviewer.token, body })).status, 200)
  }
  t.clock.advance(1_000)
  const until = t.clock.now()
  t.clock.advance(1_000)
  // Their callbacks arrive after that time: they changed last then, and are told later.
  await receiver.waitFor(1)
  receiver.behave({ body: 'ok' })
  for (const reply of held) reply()
  await t.app.drain()
  const { organizationId } = t
  const told = async (most: number, end = until) =>
    (await noticesAfter(t.app.db.within({ organizationId }), organizationId, start, end, most))?.map(({ id }) => id)
  assert.deepEqual(await told(4), [])
  assert.equal(await told(3), undefined)
  t.clock.advance(1_000)
  assert.deepEqual((await told(4, t.clock.now()))?.toSorted(), asked.toSorted())
  assert.equal(await told(3, t.clock.now()), undefined)
})
