import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { newId } from '../../src/platform/ids.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { addApiKey, addOrganization, type TestOrganization } from '../people-and-keys.ts'
import { startReceiver } from '../receivers.ts'
import { totalsAndCounts } from './table-contents.ts'

let t: TestApp
let other: TestOrganization
before(async () => {
  t = await startTestApp()
  other = await addOrganization(t)
})
after(() => t.stop())

const path = '/api/v1/requests'

/** Copies a request of the sample organization with its id into the other one, so that only the organization differs. */
async function twinOf(id: string): Promise<void> {
  const columns = await t.sql(
    `select string_agg(attname, ', ') as names from pg_attribute
     where attrelid = 'consultation_requests'::regclass and attnum > 0 and not attisdropped and attgenerated = ''`,
  )
  const names = String(columns[0]?.names)
  await t.sql(
    `insert into consultation_requests (${names})
     select ${names} from (select (jsonb_populate_record(c, jsonb_build_object('organization_id', $2::uuid,
         'agent_id', $3::uuid, 'metadata', '{"twin":true}'::jsonb))).*
       from consultation_requests c where id = $1 and organization_id = $4) twin`,
    [id, other.organizationId, other.apiKey.agentId, t.organizationId],
  )
}

/** Every row of the other organization, as text. */
async function otherRows(): Promise<unknown> {
  const tables = [
    'consultation_requests',
    'consultation_answers',
    'consultation_totals',
    'deliveries',
    'delivery_attempts',
    'events',
  ]
  const contents = []
  for (const table of tables) {
    contents.push(
      await t.sql(`select r::text from ${table} r where organization_id = $1 order by 1`, [other.organizationId]),
    )
  }
  return contents
}

describe('404, with the same bytes as for a missing request, for what the caller may not see', () => {
  const calls: readonly (readonly [string, string, 'key' | 'person'])[] = [
    ['GET', '', 'key'],
    ['GET', '', 'person'],
    ['POST', '/respond', 'person'],
    ['POST', '/cancel', 'key'],
    ['POST', '/redeliver', 'key'],
    ['POST', '/redeliver', 'person'],
    ['GET', '/deliveries', 'key'],
    ['GET', '/deliveries', 'person'],
  ]
  for (const [method, act, kind] of calls) {
    test(`${method} request${act} by a ${kind} of another organization`, async () => {
      const { id } = await t.createRequest()
      const unseen = await otherRows()
      const headers = { 'x-request-id': 'the-same' }
      const body = act === '/respond' ? { body: { decision: 'approve' } } : {}
      const options = { as: kind === 'key' ? other.apiKey.raw : other.reviewer.token, headers, ...body }
      const foreign = await t.call(method, `${path}/${id}${act}`, options)
      const missing = await t.call(method, `${path}/${newId()}${act}`, options)
      assert.equal(foreign.status, 404)
      assert.equal(foreign.text, missing.text)
      // One call comes after the other, so time and count differ.
      const { date: _one, ratelimit: _first, ...foreignHeaders } = foreign.headers
      const { date: _two, ratelimit: _second, ...missingHeaders } = missing.headers
      assert.deepEqual(foreignHeaders, missingHeaders)
      assert.equal((await t.call('GET', `${path}/${id}`, { as: t.apiKey })).body.state, 'pending')
      assert.deepEqual(await otherRows(), unseen)
    })
  }

  test("the same for another key's request within the organization", async () => {
    const { id } = await t.createRequest()
    const { raw } = await addApiKey(t)
    const headers = { 'x-request-id': 'the-same' }
    for (const [method, act] of [
      ['GET', ''],
      ['POST', '/cancel'],
      ['POST', '/redeliver'],
      ['GET', '/deliveries'],
    ] as const) {
      const foreign = await t.call(method, `${path}/${id}${act}`, { as: raw, headers })
      const missing = await t.call(method, `${path}/${newId()}${act}`, { as: raw, headers })
      assert.deepEqual([foreign.status, foreign.text], [404, missing.text])
    }
  })
})

describe('a request with the same id in another organization', () => {
  test('is not affected by answer, callback, redelivery and read', async () => {
    const receiver = await startReceiver()
    const { id } = await t.createRequest({ callback_webhook: receiver.url })
    await twinOf(id)
    await t.sql(`insert into consultation_totals values ($1, $2, 'pending', 0, 1)`, [
      other.organizationId,
      other.apiKey.agentId,
    ])
    const callbackId = newId()
    await t.sql(
      `insert into deliveries (organization_id, id, channel, subject_id, address, target, body, body_bytes, retry_seconds, recovery_seconds, status, created_at, updated_at)
       values ($1, $2, 'callback', $3, 'https://other.example.com/', 'https://other.example.com', '{}', 2, '{}', '{}', 'failed', now(), now())`,
      [other.organizationId, callbackId, id],
    )
    await t.sql(
      `insert into delivery_attempts (organization_id, id, delivery_id, channel, subject_id, attempt, address, succeeded, duration_ms, started_at, created_at)
       values ($1, $2, $3, 'callback', $4, 1, 'https://other.example.com/', false, 1, now(), now())`,
      [other.organizationId, newId(), callbackId, id],
    )
    const twin = await otherRows()

    assert.equal(
      (await t.call('POST', `${path}/${id}/respond`, { as: t.reviewer.token, body: { decision: 'approve' } })).status,
      200,
    )
    await t.app.drain()
    assert.equal((await t.call('POST', `${path}/${id}/redeliver`, { as: t.apiKey })).status, 202)
    await t.app.drain()
    const mine = await t.call('GET', `${path}/${id}`, { as: t.apiKey })
    assert.deepEqual([mine.body.state, mine.body.title, receiver.requests.length], ['callback_sent', 'May I?', 2])
    const deliveries = await t.call('GET', `${path}/${id}/deliveries`, { as: t.apiKey })
    assert.deepEqual(
      deliveries.body.items.map(({ url }: { url: string }) => url),
      [`${receiver.url}`, `${receiver.url}`],
    )
    assert.deepEqual(await otherRows(), twin)

    const theirs = await t.call('GET', `${path}/${id}`, { as: other.reviewer.token })
    assert.deepEqual([theirs.body.state, theirs.body.metadata], ['pending', { twin: true }])
    const theirDeliveries = await t.call('GET', `${path}/${id}/deliveries`, { as: other.reviewer.token })
    assert.deepEqual(
      theirDeliveries.body.items.map(({ url }: { url: string }) => url),
      ['https://other.example.com/'],
    )
    await receiver.close()
  })

  test('is not affected by a cancellation, and its answer does not affect the first one', async () => {
    const { id } = await t.createRequest()
    await twinOf(id)
    const twin = await otherRows()
    assert.equal((await t.call('POST', `${path}/${id}/cancel`, { as: t.apiKey })).status, 200)
    assert.deepEqual(await otherRows(), twin)
    const theirs = await t.call('POST', `${path}/${id}/respond`, {
      as: other.reviewer.token,
      body: { decision: 'reject' },
    })
    assert.deepEqual([theirs.status, theirs.body.metadata], [200, { twin: true }])
    assert.equal((await t.call('GET', `${path}/${id}`, { as: t.apiKey })).body.state, 'cancelled')
    const { totals, counts } = await totalsAndCounts(t)
    assert.deepEqual(
      (totals as { organization_id: string }[]).filter((row) => row.organization_id === t.organizationId),
      (counts as { organization_id: string }[]).filter((row) => row.organization_id === t.organizationId),
    )
  })

  test('acts on both at once each change their own request', async () => {
    const made = await Promise.all(Array.from({ length: 20 }, () => t.createRequest()))
    for (const { id } of made) await twinOf(id)
    const respond = (as: string, id: string, decision: string) =>
      t.call('POST', `${path}/${id}/respond`, { as, body: { decision } })
    const replies = await Promise.all(
      made.flatMap(({ id }) => [respond(t.reviewer.token, id, 'approve'), respond(other.reviewer.token, id, 'reject')]),
    )
    assert.deepEqual(
      replies.map(({ status, body }) => [status, body.response?.decision, body.response?.responder_id]),
      made.flatMap(() => [
        [200, 'approve', t.reviewer.id],
        [200, 'reject', other.reviewer.id],
      ]),
    )
    const reads = await Promise.all(
      made.flatMap(({ id }) => [t.apiKey, other.apiKey.raw].map((as) => t.call('GET', `${path}/${id}`, { as }))),
    )
    assert.deepEqual(
      reads.map(({ body }) => body.response.decision),
      made.flatMap(() => ['approve', 'reject']),
    )
  })
})

test('lists and their totals contain nothing of another organization', async () => {
  const before = (await t.call('GET', path, { as: other.admin.token })).body.total
  const { body: made } = await t.call('POST', path, { as: other.apiKey.raw, body: { title: 'theirs', context: {} } })
  const theirs = await t.call('GET', `${path}?limit=100`, { as: other.admin.token })
  assert.equal(theirs.body.total, before + 1)
  assert.equal(theirs.body.items[0].id, made.id)
  for (const query of ['', '&state=pending', '&updated_after=1970-01-01T00:00:00Z']) {
    const ours = await t.call('GET', `${path}?limit=100${query}`, { as: t.admin.token })
    assert.ok(
      !ours.body.items.some(
        ({ id, metadata }: { id: string; metadata: unknown }) => id === made.id || metadata !== null,
      ),
    )
    const [row] = await t.sql(
      `select count(*)::int as total from consultation_requests where organization_id = $1 and ($2 or state = 'pending')`,
      [t.organizationId, !query.includes('state')],
    )
    assert.equal(ours.body.total, row?.total)
  }
})

test('the organization never comes from the body', async () => {
  const { status, body } = await t.call('POST', path, {
    as: other.apiKey.raw,
    body: { title: 'x', context: {}, organization_id: t.organizationId, api_key_id: newId() },
  })
  assert.equal(status, 422)
  assert.deepEqual(
    body.errors.map(({ path: member }: { path: string }) => member),
    ['organization_id', 'api_key_id'],
  )
})
