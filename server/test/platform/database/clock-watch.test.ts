import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { watchClock } from '../../../src/platform/database/clock-watch.ts'
import { createLog } from '../../../src/platform/log.ts'
import { eventually } from '../../eventually.ts'
import { createFakeClock, startTestApp, type TestApp } from '../../harness.ts'

let t: TestApp
before(async () => {
  t = await startTestApp({ environment: { ROLE: 'api' } })
})
after(() => t.stop())

test('a clock that leaves the database is one line, and one when it is back', async () => {
  const lines: { level: string; msg: string; seconds_ahead?: number }[] = []
  const log = createLog('info', false, { write: (line) => void lines.push(JSON.parse(line)) })
  const clock = createFakeClock()
  const watch = watchClock(t.app.db, clock, log)
  const after = async (ms: number) => {
    clock.advance(ms)
    await watch.drain()
    return lines.splice(0).map(({ level, msg }) => `${level}: ${msg.split(':')[0]}`)
  }
  const away = "warn: this machine's clock is not the database's"
  const back = "info: this machine's clock agrees with the database's again"
  assert.deepEqual(await after(0), [])
  assert.deepEqual(await after(3_600_000), [away])
  assert.equal(watch.secondsAhead(), 3_600)
  assert.deepEqual(await after(3_600_000), [])
  assert.deepEqual(await after(-7_200_000), [back])
  assert.equal(watch.secondsAhead(), null)
  assert.deepEqual(await after(-3_600_000), [away])
  assert.equal(watch.secondsAhead(), -3_600)
  assert.deepEqual(await after(3_600_000), [back])
})

test('health says how far the clock is behind', async (c) => {
  const clock = createFakeClock()
  const behind = await startTestApp({ clock, workers: true })
  c.after(() => behind.stop())
  clock.advance(-60_000)
  const seconds = await eventually('it has looked', async () => {
    return (await behind.call('GET', '/health')).body.clock_seconds_ahead ?? null
  })
  assert.ok(seconds <= -59, `${seconds}`)
})

test('a callback of a process whose clock is ahead is due now, by the clock of the others', async () => {
  const { id } = await t.createRequest({ callback_webhook: 'http://127.0.0.1:9/' })
  t.clock.advance(600_000)
  const body = { decision: 'approve' }
  const reply = await t.call('POST', `/api/v1/requests/${id}/respond`, { as: t.reviewer.token, body })
  assert.equal(reply.status, 200, reply.text)
  const rows = await t.sql('select due_at <= clock_timestamp() as due from deliveries where subject_id = $1', [id])
  assert.deepEqual(rows, [{ due: true }])
})
