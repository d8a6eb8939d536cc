import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { startTestApp, type TestApp } from '../harness.ts'
import { addApiKey } from '../people-and-keys.ts'
import { type Receiver, startReceiver } from '../receivers.ts'

let t: TestApp
let receiver: Receiver
before(async () => {
  t = await startTestApp()
  receiver = await startReceiver()
})
after(async () => {
  await t.stop()
  await receiver.close()
})

interface Seen {
  readonly etag: string
  readonly text: string
}

const get = (path: string, as: string, known?: string) =>
  t.call('GET', path, { as, ...(known === undefined ? {} : { headers: { 'if-none-match': known } }) })

/** As it is, with a known tag, and as it is afterwards: an attempt of its callback may change the request in between. */
const threeTimes = async (path: string, as: string, known?: string) =>
  [await get(path, as), await get(path, as, known), await get(path, as)] as const

const acts: Readonly<Record<string, (id: string, as: string) => Promise<unknown>>> = {
  approve: (id) =>
    t.call('POST', `/api/v1/requests/${id}/respond`, { as: t.reviewer.token, body: { decision: 'approve' } }),
  reject: (id) =>
    t.call('POST', `/api/v1/requests/${id}/respond`, {
      as: t.admin.token,
      body: { decision: 'reject', comment: 'No.' },
    }),
  cancel: (id, as) => t.call('POST', `/api/v1/requests/${id}/cancel`, { as }),
  redeem: (id, as) => t.call('POST', `/api/v1/requests/${id}/redeem`, { as }),
  redeliver: (id, as) => t.call('POST', `/api/v1/requests/${id}/redeliver`, { as }),
  timeOut: async () => t.clock.advance(61_000),
  fail: async () => receiver.behave({ status: 500 }),
  take: async () => receiver.behave({ status: 200 }),
  wait: async () => t.clock.advance(3_000),
  erase: (id) =>
    t.call('POST', '/api/v1/events/erasures', { as: t.admin.token, body: { request_id: id, reason: 'a test' } }),
  pause: () =>
    t.sql(`update agents set status = 'paused', paused_at = now() where name = 'agent' and status = 'active'`),
  resume: () =>
    t.sql(`update agents set status = 'active', paused_at = null where name = 'agent' and status = 'paused'`),
  another: (_id, as) => t.call('POST', '/api/v1/requests', { as, body: { title: 'Another', context: {} } }),
}

test('304 exactly while the reply is the same, for each caller, after any acts', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...Object.keys(acts)), { minLength: 4, maxLength: 10 }),
      async (names) => {
        receiver.behave({ status: 200 })
        const key = await addApiKey(t)
        const asked = await t.call('POST', '/api/v1/requests', {
          as: key.raw,
          body: {
            title: 'May I?',
            context: { a: 1 },
            metadata: { b: 2 },
            timeout_minutes: 1,
            callback_webhook: receiver.url,
          },
        })
        const { id } = asked.body
        const seen = new Map<string, Seen>()
        for (const name of ['begin', ...names]) {
          await acts[name]?.(id, key.raw)
          for (const [caller, as] of [
            ['agent', key.raw],
            ['reviewer', t.reviewer.token],
            ['admin', t.admin.token],
          ] as const) {
            for (const path of [
              `/api/v1/requests/${id}`,
              '/api/v1/requests?limit=2',
              '/api/v1/requests?limit=2&state=pending&fields=full',
            ]) {
              const before = seen.get(`${caller} ${path}`)
              let [now, again, later] = await threeTimes(path, as, before?.etag)
              while (now.text !== later.text) [now, again, later] = await threeTimes(path, as, before?.etag)
              if (now.status !== 200) continue
              const etag = String(now.headers.etag)
              if (before !== undefined) {
                const isSame = before.text === now.text
                assert.equal(again.status, isSame ? 304 : 200, `${caller} ${path} after ${name}`)
                assert.equal(again.text, isSame ? '' : now.text)
                assert.equal(before.etag === etag, isSame)
              }
              seen.set(`${caller} ${path}`, { etag, text: now.text })
            }
          }
          // What differs between callers has another tag.
          for (const one of seen.values())
            for (const other of seen.values()) {
              if (one.etag === other.etag) assert.equal(one.text, other.text)
            }
        }
        await acts.resume?.(id, key.raw)
      },
    ),
    { numRuns: 12 },
  )
})

test('weak and several tags are compared, and * fits; HEAD has the tag', async () => {
  const { id } = await t.createRequest()
  const path = `/api/v1/requests/${id}`
  const { headers } = await get(path, t.apiKey)
  for (const known of [String(headers.etag), `W/${headers.etag}`, `"other", ${headers.etag}`, '*']) {
    const reply = await get(path, t.apiKey, known)
    assert.deepEqual([reply.status, reply.text, reply.headers.etag], [304, '', headers.etag])
  }
  assert.equal((await get(path, t.apiKey, '"other"')).status, 200)
  assert.equal((await t.call('HEAD', path, { as: t.apiKey })).headers.etag, headers.etag)
  assert.equal((await get(path, t.reviewer.token)).headers.etag === headers.etag, false)
})
