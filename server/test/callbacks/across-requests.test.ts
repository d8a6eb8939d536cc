import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Reply, startTestApp, type TestApp } from '../harness.ts'
import { addOrganization } from '../people-and-keys.ts'
import { type Receiver, startReceiver } from '../receivers.ts'

let t: TestApp
let well: Receiver
let broken: Receiver
/** Request ids, in the order in which their callbacks fell due. */
const [sent, failed]: [string[], string[]] = [[], []]

async function answered(url: string): Promise<string> {
  const { id } = await t.createRequest({ callback_webhook: url, callback_retry_seconds: [] })
  const body = { decision: 'approve' }
  const reply = await t.call('POST', `/api/v1/requests/${id}/respond`, { as: t.reviewer.token, body })
  assert.equal(reply.status, 200, reply.text)
  await t.app.drain()
  return id
}

before(async () => {
  t = await startTestApp()
  well = await startReceiver()
  broken = await startReceiver({ behaviour: { status: 404 } })
  for (let made = 0; made < 5; made += 1) {
    sent.push(await answered(`${well.url}/hook`))
    failed.push(await answered(`${broken.url}/hook`))
    t.clock.advance(60_000)
  }
})
after(async () => {
  await t.stop()
  await Promise.all([well.close(), broken.close()])
})

const list = (query = '', as = t.admin.token): Promise<Reply> => t.call('GET', `/api/v1/callbacks${query}`, { as })

async function idsOf(query: string): Promise<readonly string[]> {
  const reply = await list(query)
  assert.equal(reply.status, 200, reply.text)
  return reply.body.items.map(({ request_id: id }: { request_id: string }) => id)
}

const redeliver = (body: object, as = t.admin.token): Promise<Reply> =>
  t.call('POST', '/api/v1/callbacks/redeliver', { as, body })

describe('GET /callbacks', () => {
  test('shows the callbacks of all requests, newest first, with what became of them', async () => {
    const { items, next_cursor: cursor } = (await list()).body
    assert.equal(items.length, 10)
    assert.equal(cursor, null)
    const [newest, second] = items
    const { webhook_id: id, created_at, updated_at, ...shown } = newest
    assert.deepEqual(shown, {
      request_id: failed.at(-1),
      url: `${broken.url}/hook`,
      target: broken.url,
      status: 'failed',
      attempts: 1,
      next_attempt_at: null,
      event: 'request.responded',
      last_error: 'The receiver replied 404; only 2xx counts as received.',
    })
    assert.equal(id, broken.requests.at(-1)?.headers['webhook-id'])
    assert.deepEqual([second.request_id, second.status, second.last_error], [sent.at(-1), 'sent', null])
  })

  test('finds by status, receiver and time, together too', async () => {
    assert.deepEqual(await idsOf('?status=failed'), failed.toReversed())
    assert.deepEqual(await idsOf('?status=sent'), sent.toReversed())
    assert.deepEqual(await idsOf('?status=pending'), [])
    assert.deepEqual(await idsOf(`?target=${encodeURIComponent(`${well.url}/any/path`)}`), sent.toReversed())
    const since = encodeURIComponent(new Date(t.clock.now().getTime() - 120_000).toISOString())
    assert.deepEqual(await idsOf(`?since=${since}&status=failed`), failed.slice(-2).toReversed())
  })

  test('goes on from page to page, and every filter with a cursor of its own kind', async () => {
    for (const filter of ['', '&status=failed', `&target=${encodeURIComponent(broken.url)}`]) {
      const whole = await idsOf(`?limit=100${filter}`)
      const paged: string[] = []
      for (let cursor: string | null = ''; cursor !== null; ) {
        const { items, next_cursor }: Reply['body'] = (await list(`?limit=2${filter}${cursor && `&cursor=${cursor}`}`))
          .body
        assert.ok(items.length <= 2)
        paged.push(...items.map(({ request_id }: { request_id: string }) => request_id))
        cursor = next_cursor
      }
      assert.deepEqual(paged, whole, filter)
    }
  })

  test('looks through so many for each page, and the next page goes on from there', async () => {
    const own = await startTestApp()
    const { id } = await own.createRequest({ callback_webhook: well.url })
    await own.sql('set session_replication_role = replica')
    await own.sql(
      `insert into deliveries (organization_id, id, channel, subject_id, address, target, body, body_bytes, retry_seconds,
         recovery_seconds, status, created_at, updated_at)
       select $1, ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'callback', $2, '', case n when 1 then 'https://x.example'
         else 'https://y.example' end, '', 0, '{}', '{}', 'sent', now(), now() from generate_series(1, 4500) n`,
      [own.organizationId, id],
    )
    const pages: number[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const query: string = `?target=https://x.example${cursor && `&cursor=${cursor}`}`
      const { items, next_cursor }: Reply['body'] = (
        await own.call('GET', `/api/v1/callbacks${query}`, { as: own.admin.token })
      ).body
      pages.push(items.length)
      cursor = next_cursor
    }
    assert.deepEqual(pages, [0, 0, 1])
    await own.stop()
  })

  test('shows nothing of another organization, and 403 to agents', async () => {
    const other = await addOrganization(t)
    const reply = await list('', other.reviewer.token)
    assert.deepEqual([reply.status, reply.body.items], [200, []])
    assert.equal((await list('', t.apiKey)).status, 403)
  })

  test('422 names what is wrong', async () => {
    for (const [query, name] of [
      ['?target=agent', 'target'],
      ['?since=yesterday', 'since'],
      ['?status=lost', 'status'],
      ['?cursor=x', 'cursor'],
    ] as const) {
      const reply = await list(query)
      assert.equal(reply.status, 422, query)
      assert.match(reply.text, new RegExp(name))
    }
  })
})

describe('POST /callbacks/redeliver', () => {
  test('403 for a reviewer and for an agent', async () => {
    for (const as of [t.reviewer.token, t.apiKey]) assert.equal((await redeliver({}, as)).status, 403)
  })

  test('sends those that failed again, bounded by limit; an event names the person for each', async () => {
    broken.behave({ status: 200 })
    const first = await redeliver({ limit: 3 })
    assert.equal(first.status, 202, first.text)
    assert.deepEqual([first.body.redelivered, first.body.skipped], [3, 0])
    const second = await redeliver({ limit: 3, cursor: first.body.next_cursor })
    assert.deepEqual(second.body, { redelivered: 2, skipped: 0, next_cursor: null })
    await t.app.drain()
    assert.deepEqual(await idsOf('?status=failed'), [])
    assert.deepEqual(await idsOf('?status=sent'), [...sent.map((id, at) => [id, failed[at]])].flat().toReversed())
    const events = await t.sql(`select actor_id from events where kind = 'request.redelivery_requested'`)
    assert.deepEqual(
      events.map(({ actor_id }) => actor_id),
      Array(5).fill(t.admin.id),
    )
    const twice = broken.requests.map(({ headers }) => headers['webhook-id'])
    assert.equal(new Set(twice).size, 5)
    assert.equal(twice.length, 10)
  })

  test('sends to one receiver again what it had received since a time', async () => {
    const since = new Date(t.clock.now().getTime() - 120_000).toISOString()
    const reply = await redeliver({ status: 'sent', target: well.url, since })
    assert.deepEqual(reply.body, { redelivered: 2, skipped: 0, next_cursor: null })
    assert.deepEqual(await idsOf('?status=pending'), sent.slice(-2).toReversed())
    await t.app.drain()
    assert.equal(well.requests.length, 7)
  })

  test('skips what somebody else has asked for in the meantime', async () => {
    const replies = await Promise.all(Array.from({ length: 3 }, () => redeliver({ status: 'sent', target: well.url })))
    const sum = (name: string) => replies.reduce((total, { body }) => total + body[name], 0)
    assert.equal(sum('redelivered'), 5)
    await t.app.drain()
    assert.equal(well.requests.length, 12)
  })
})
