import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createApp } from '../../src/app.ts'
import { createLog } from '../../src/platform/log.ts'
import { eventually } from '../eventually.ts'
import { secretKey, startTestApp, type TestApp, testConfig } from '../harness.ts'
import { addApiKey, addOrganization } from '../people-and-keys.ts'

const environment = { LONGEST_WAIT_SECONDS: '55' }
let t: TestApp
before(async () => {
  t = await startTestApp({ environment })
})
after(() => t.stop())

const wait = (id: string, { seconds = 55, as = t.apiKey } = {}) =>
  t.call('GET', `/api/v1/requests/${id}/wait?timeout_seconds=${seconds}`, { as })
const approve = (id: string) =>
  t.call('POST', `/api/v1/requests/${id}/respond`, { as: t.reviewer.token, body: { decision: 'approve' } })

/** Whether it is over already. */
async function settled(waiting: Promise<unknown>): Promise<boolean> {
  const nothing = Symbol('nothing')
  return (await Promise.race([waiting, new Promise((resolve) => setImmediate(() => resolve(nothing)))])) !== nothing
}

describe('a wait', () => {
  test('is answered by the commit that decides, with what GET says', async () => {
    const { id } = await t.createRequest()
    const waits = [wait(id), wait(id, { as: t.reviewer.token }), wait(id.toUpperCase())]
    await eventually('they wait', () => t.app.realtime.waiting() === 3)
    assert.equal(await settled(Promise.race(waits)), false)
    await approve(id)
    for (const [at, as] of [t.apiKey, t.reviewer.token, t.apiKey].entries()) {
      const reply = await waits[at]
      assert.equal(reply?.status, 200)
      assert.deepEqual(reply?.body, (await t.call('GET', `/api/v1/requests/${id}`, { as })).body)
    }
    assert.equal(t.app.realtime.waiting(), 0)
  })

  test('is answered by a cancellation and by a timeout', async () => {
    const { id } = await t.createRequest()
    const cancelled = wait(id)
    await eventually('it waits', () => t.app.realtime.waiting() === 1)
    await t.call('POST', `/api/v1/requests/${id}/cancel`, { as: t.apiKey })
    assert.equal((await cancelled).body.state, 'cancelled')
    const late = await t.createRequest({ timeout_minutes: 1 })
    const timedOut = wait(late.id)
    await eventually('it waits', () => t.app.realtime.waiting() === 1)
    t.clock.advance(60_000)
    await t.app.drain()
    assert.equal((await timedOut).body.state, 'timeout')
  })

  test('is answered at once when the request is not pending, with 0 seconds, and for HEAD', async () => {
    const { id } = await t.createRequest()
    assert.equal((await wait(id, { seconds: 0 })).body.state, 'pending')
    assert.equal((await t.call('HEAD', `/api/v1/requests/${id}/wait`, { as: t.apiKey })).status, 200)
    await approve(id)
    assert.equal((await wait(id)).body.state, 'responded')
  })

  test('ends with the pending request when its time is up', async () => {
    const { id } = await t.createRequest()
    const { status, body, headers } = await wait(id, { seconds: 1 })
    assert.equal(status, 200)
    assert.equal(body.state, 'pending')
    assert.equal(headers['retry-after'], undefined)
  })

  test("404 for what is not the caller's to see, and for what does not exist", async () => {
    const { id } = await t.createRequest()
    const other = await addOrganization(t)
    const another = await addApiKey(t)
    for (const as of [other.apiKey.raw, other.reviewer.token, another.raw])
      assert.equal((await wait(id, { as })).status, 404)
    assert.equal((await wait(t.admin.id)).status, 404)
    assert.equal((await wait('nonsense')).status, 422)
  })

  test('422 for a time out of its bounds and for another parameter', async () => {
    const { id } = await t.createRequest()
    for (const query of ['timeout_seconds=56', 'timeout_seconds=-1', 'timeout_seconds=1.5', 'timeout=5']) {
      assert.equal((await t.call('GET', `/api/v1/requests/${id}/wait?${query}`, { as: t.apiKey })).status, 422, query)
    }
  })

  test('ends with 401 within a second when its key is revoked, and with 403 when its agent is stopped', async () => {
    const started = await startTestApp({ environment, workers: true })
    try {
      const [revoked, stopped] = [await addApiKey(started), await addApiKey(started)]
      const ask = async (as: string) => {
        const asked = await started.call('POST', '/api/v1/requests', { as, body: { title: 'May I?', context: {} } })
        return started.call('GET', `/api/v1/requests/${asked.body.id}/wait`, { as })
      }
      const replies = [ask(revoked.raw), ask(stopped.raw)]
      await eventually('they wait', () => started.app.realtime.waiting() === 2)
      // As another process does it: this one is not told.
      await started.sql('update api_keys set is_active = false, revoked_at = now() where id = $1', [revoked.id])
      await started.sql(`update agents set status = 'stopped', paused_at = now() where id = $1`, [stopped.agentId])
      const from = performance.now()
      assert.equal((await replies[0])?.status, 401)
      assert.equal((await replies[1])?.body.code, 'agent.stopped')
      assert.ok(performance.now() - from < 1_500, `${performance.now() - from} ms`)
    } finally {
      await started.stop()
    }
  })

  test('429 beyond the share of the organization, 503 beyond what the process holds; both with Retry-After', async () => {
    const small = await startTestApp({ environment: { ...environment, MOST_WAITS: '4' } })
    try {
      const { id } = await small.createRequest()
      const path = `/api/v1/requests/${id}/wait`
      const held = [1, 2].map(() => small.call('GET', path, { as: small.apiKey }))
      await eventually('they wait', () => small.app.realtime.waiting() === 2)
      const refused = await small.call('GET', path, { as: small.reviewer.token })
      assert.equal(refused.status, 429)
      assert.equal(refused.headers['retry-after'], '5')
      for (const _ of [1, 2]) {
        const other = await addOrganization(small)
        const asked = await small.call('POST', '/api/v1/requests', {
          as: other.apiKey.raw,
          body: { title: 'May I?', context: {} },
        })
        held.push(small.call('GET', `/api/v1/requests/${asked.body.id}/wait`, { as: other.apiKey.raw }))
      }
      await eventually('all places are taken', () => small.app.realtime.waiting() === 4)
      const full = await small.call('GET', path, { as: small.reviewer.token })
      assert.equal(full.status, 503)
      assert.equal(full.headers['retry-after'], '5')
      await small.app.stop()
      for (const reply of await Promise.all(held)) {
        assert.equal(reply.status, 200)
        assert.equal(reply.body.state, 'pending')
        // A clean end: the caller asks again.
        assert.equal(reply.headers['retry-after'], '1')
      }
    } finally {
      await small.stop()
    }
  })
})

describe('several processes', () => {
  const openOther = () =>
    createApp({
      config: testConfig(environment),
      secretKey,
      connection: t.connection,
      log: createLog('silent', false),
      clock: t.clock,
    })

  test('a commit of another process wakes a wait through a hint, and where hints are lost, polling finds it', async () => {
    const other = await openOther()
    try {
      const waitThere = async (id: string) =>
        (
          await other.http.inject({
            url: `/api/v1/requests/${id}/wait`,
            headers: { authorization: `Bearer ${t.apiKey}` },
          })
        ).json()
      const [first, second] = [await t.createRequest(), await t.createRequest()]
      const polled = waitThere(first.id)
      await eventually('it waits', () => other.realtime.waiting() === 1)
      await approve(first.id)
      assert.equal(await settled(polled), false)
      for (const loop of other.realtime.loops) await loop.drain()
      assert.equal((await polled).state, 'responded')

      for (const loop of other.realtime.loops) loop.start()
      const hinted = waitThere(second.id)
      await eventually('it waits', () => other.realtime.waiting() === 1)
      await approve(second.id)
      assert.equal((await hinted).state, 'responded')
    } finally {
      await other.stop()
    }
  })
})
