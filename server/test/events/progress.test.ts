import assert from 'node:assert/strict'
import { test } from 'node:test'
import { watchProgress } from '../../src/events/seals/progress.ts'
import { createLog } from '../../src/platform/log.ts'
import { startTestApp } from '../harness.ts'
import { addOrganization } from '../people-and-keys.ts'

test('a process without workers says when no worker seals for a minute, and when one does again', async (context) => {
  const t = await startTestApp({ workers: false })
  context.after(() => t.stop())
  const lines: Record<string, unknown>[] = []
  const log = createLog('info', false, { write: (line) => void lines.push(JSON.parse(line)) })
  let now = 0
  const progress = watchProgress(t.app.db, log, () => now)
  const saidBy = async (at: number) => {
    now = at
    await progress.drain()
    return lines.splice(0).map(({ level, msg }) => [level, String(msg).slice(0, 27)])
  }
  const ask = async (as = t.apiKey) => {
    const reply = await t.call('POST', '/api/v1/requests', { as, body: { title: 'May I?', context: {} } })
    assert.equal(reply.status, 201)
  }
  // The first seal makes the key that signs it, and that is an event, too.
  await t.app.drain()
  await t.app.drain()
  assert.deepEqual(await saidBy(0), [])
  // Where nothing is to be done, nothing is missing.
  assert.deepEqual(await saidBy(100_000), [])
  await ask()
  assert.deepEqual(await saidBy(101_000), [])
  assert.deepEqual(await saidBy(160_000), [])
  // A worker that keeps up with steady traffic: at every look something else waits.
  await t.app.drain()
  await ask()
  assert.deepEqual(await saidBy(162_000), [])
  assert.deepEqual(await saidBy(221_000), [])
  assert.deepEqual(await saidBy(222_000), [['error', 'no worker seems to run, for']])
  assert.deepEqual(await saidBy(223_000), [])
  await t.app.drain()
  assert.deepEqual(await saidBy(224_000), [['info', 'events are sealed again: a ']])

  // An older organization, which comes first, gets an event while nothing is sealed: nothing works again, nor is it forgotten.
  const { apiKey } = await addOrganization(t)
  await ask(apiKey.raw)
  assert.deepEqual(await saidBy(230_000), [])
  await ask()
  assert.deepEqual(await saidBy(280_000), [])
  assert.deepEqual(await saidBy(290_000), [['error', 'no worker seems to run, for']])
  await t.app.drain()
  assert.deepEqual(await saidBy(291_000), [['info', 'events are sealed again: a ']])
  // The first one stays behind, and the line is said of it; another that begins to wait changes nothing.
  await ask(apiKey.raw)
  assert.deepEqual(await saidBy(300_000), [])
  assert.deepEqual(await saidBy(360_000), [['error', 'no worker seems to run, for']])
  await ask()
  assert.deepEqual(await saidBy(361_000), [])
})
