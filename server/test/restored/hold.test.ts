import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { newId } from '../../src/platform/ids.ts'
import { createLog } from '../../src/platform/log.ts'
import { insert } from '../../src/restored/store.ts'
import { formWith } from '../authorization/operations.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { type MailRelay, startMailRelay } from '../platform/mail-relay.ts'
import { receiverFor } from '../receivers.ts'

const lines: string[] = []
let relay: MailRelay
let t: TestApp
before(async () => {
  relay = await startMailRelay()
  t = await startTestApp({
    workers: false,
    log: createLog('info', false, { write: (line: string) => void lines.push(line) }),
    environment: { SMTP_URL: `smtp://127.0.0.1:${relay.port}`, MAIL_FROM: 'hitl@example.com' },
  })
})
after(async () => {
  await t.stop()
  await relay.close()
})

const heldSince = async (): Promise<unknown> => (await t.call('GET', '/readyz')).body.callbacks_held_since

test('a restored copy serves calls and sends nothing, says so, and sends each thing once when it is released', async (c) => {
  const receiver = await receiverFor(c)
  const answer = async (): Promise<string> => {
    const { id } = await t.createRequest({ callback_webhook: receiver.url })
    const body = { decision: 'reject' }
    const reply = await t.call('POST', `/api/v1/requests/${id}/respond`, { as: t.reviewer.token, body })
    assert.equal(reply.status, 200, reply.text)
    return id
  }
  const stateOf = async (id: string) => (await t.call('GET', `/api/v1/requests/${id}`, { as: t.apiKey })).body.state
  assert.equal(await heldSince(), undefined)

  const restoredAt = t.clock.now()
  const copy = { id: newId(), backedUpAt: restoredAt, backupSha256: Buffer.alloc(32), restoredAt }
  await insert(t.app.db.within({ organizationId: '00000000-0000-0000-0000-000000000000' }), copy)
  await t.app.restored.look()
  assert.equal(await heldSince(), restoredAt.toISOString())
  for (const loop of t.app.restored.loops) loop.start()
  assert.ok(lines.some((line) => line.includes('hitl restore --release')))

  // An upload that the backup calls unfinished may be finished where the copy was made: both may use one bucket.
  const { id: asked } = await t.createRequest()
  const upload = { as: t.reviewer.token, body: formWith() }
  assert.equal((await t.call('POST', `/api/v1/requests/${asked}/attachments`, upload)).status, 201)
  await t.sql(`update attachments set discard_at = '2020-01-01'`)
  const files = async () => (await t.sql('select count(*)::int as files from attachments'))[0]?.files

  const ids = [await answer(), await answer()]
  const invited = { as: t.admin.token, body: { email: 'new@example.com' } }
  assert.equal((await t.call('POST', '/api/v1/invitations', invited)).status, 201)
  await t.app.drain()
  assert.deepEqual([receiver.requests.length, relay.letters.length], [0, 0])
  assert.equal(await stateOf(ids[0] ?? ''), 'responded')
  assert.deepEqual(await t.app.restored.waiting(), { callbacks: 2, letters: 1 })
  assert.equal(await files(), 1)

  assert.equal(await t.app.restored.release(), true)
  assert.equal(await t.app.restored.release(), false, 'once')
  await t.app.drain()
  await t.app.drain()
  assert.deepEqual([receiver.requests.length, relay.letters.length], [2, 1])
  assert.equal(await files(), 0)
  for (const id of ids) assert.equal(await stateOf(id), 'callback_sent')
  assert.equal(await heldSince(), undefined)
  const released = await t.sql("select organization_id from events where kind = 'restored_copy.released'")
  assert.deepEqual(released, [{ organization_id: '00000000-0000-0000-0000-000000000000' }])
  await answer()
  await receiver.waitFor(3)
})
