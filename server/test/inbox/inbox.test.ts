import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { longestSnoozeDays, mostDrafts, mostSnoozed } from '../../src/inbox/inbox.ts'
import { saveDraft, snooze as storeSnooze } from '../../src/inbox/store.ts'
import { mostViews } from '../../src/inbox/view.ts'
import type { JsonText } from '../../src/platform/json.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { addApiKey, addOrganization, addPerson } from '../people-and-keys.ts'

let t: TestApp
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())

const on = (id: string, what: 'draft' | 'snooze') => `/api/v1/requests/${id}/${what}`
const inMinutes = (minutes: number) => new Date(t.clock.now().getTime() + minutes * 60_000).toISOString()
const snooze = (id: string, until: string, as = t.reviewer.token) =>
  t.call('POST', on(id, 'snooze'), { as, body: { until } })
const save = (id: string, answer: unknown = { comment: 'Not before' }, as = t.reviewer.token) =>
  t.call('PUT', on(id, 'draft'), { as, body: { revision: 1, answer } })
const draft = (id: string, as = t.reviewer.token) => t.call('GET', on(id, 'draft'), { as })
const cancel = (id: string) => t.call('POST', `/api/v1/requests/${id}/cancel`, { as: t.apiKey })
const rows = async (table: string, id: string) =>
  (await t.sql(`select user_id from ${table} where request_id = $1`, [id])).length

const idsIn = async (queue: string, as = t.reviewer.token): Promise<readonly string[]> =>
  (await t.call('GET', `/api/v1/requests?queue=${queue}&limit=100`, { as })).body.items.map(
    ({ id }: { id: string }) => id,
  )
const counts = async (as = t.reviewer.token) => (await t.call('GET', '/api/v1/requests/counts', { as })).body.queues
const createMany = async (count: number): Promise<readonly string[]> => {
  const ids: string[] = []
  while (ids.length < count) {
    const requests = Array.from({ length: Math.min(500, count - ids.length) }, () => ({ title: 'May I?', context: {} }))
    const { body } = await t.call('POST', '/api/v1/requests/batch', { as: t.apiKey, body: { requests } })
    ids.push(...body.items.map(({ id }: { id: string }) => id))
  }
  return ids
}

describe('a request that is put aside', () => {
  test("is out of this person's queues and counts, in snoozed alone, until its time has come, swept or not", async () => {
    const { id } = await t.createRequest({ risk: 'high', timeout_minutes: 30 })
    const [own, others] = [await counts(), await counts(t.admin.token)]
    await snooze(id, inMinutes(1))
    const without = {
      all: own.all - 1,
      high_risk: own.high_risk - 1,
      due_soon: own.due_soon - 1,
      snoozed: own.snoozed + 1,
    }
    assert.deepEqual(await counts(), { ...own, ...without })
    assert.deepEqual(await counts(t.admin.token), others)
    const inQueues = async (as?: string) => {
      const found = await Promise.all(
        Object.keys(own).map(async (queue) => [queue, (await idsIn(queue, as)).includes(id)]),
      )
      return found.flatMap(([queue, isThere]) => (isThere ? [queue] : []))
    }
    assert.deepEqual(await inQueues(), ['snoozed'])
    assert.deepEqual(await inQueues(t.admin.token), ['all', 'high_risk', 'due_soon'])
    t.clock.advance(60_000)
    assert.deepEqual(await inQueues(), ['all', 'high_risk', 'due_soon'])
    assert.deepEqual((await counts()).snoozed, own.snoozed)
    await snooze(id, inMinutes(5))
    assert.deepEqual(await inQueues(), ['snoozed'])
    await t.call('DELETE', on(id, 'snooze'), { as: t.reviewer.token })
    assert.deepEqual(await inQueues(), ['all', 'high_risk', 'due_soon'])
    await snooze(id, inMinutes(5))
    await cancel(id)
    assert.deepEqual(await inQueues(), ['done'])
    assert.equal((await counts()).snoozed, own.snoozed)
  })

  test(`409 beyond ${mostSnoozed}, and room again once one of them is closed; lists leave that many out`, async () => {
    const person = await addPerson(t)
    const ids = await createMany(mostSnoozed + 2)
    await t.sql(
      'insert into request_snoozes (organization_id, user_id, request_id, until) select $1, $2, id, $4 from unnest($3::uuid[]) id',
      [t.organizationId, person.id, ids.slice(2), inMinutes(60)],
    )
    const [first = '', second = '', ...rest] = ids
    assert.equal((await snooze(first, inMinutes(1), person.token)).body.code, 'inbox.too_many_snoozed')
    assert.equal((await snooze(rest[0] ?? '', inMinutes(1), person.token)).status, 200)
    // All that are newer are out of the way: the first page has the older ones, all the same.
    assert.deepEqual((await idsIn('all', person.token)).slice(0, 2), [second, first])
    const { all, snoozed } = await counts(person.token)
    assert.deepEqual([snoozed, all], [mostSnoozed, (await counts(t.admin.token)).all - mostSnoozed])
    await cancel(rest[0] ?? '')
    assert.equal((await snooze(first, inMinutes(1), person.token)).status, 200)
    assert.equal((await counts(person.token)).snoozed, mostSnoozed)
  })

  test('is not put aside by a call that its closing has overtaken', async () => {
    const { id } = await t.createRequest()
    await cancel(id)
    const key = { organizationId: t.organizationId, userId: t.reviewer.id, requestId: id }
    const rowsOf = t.app.db.within({ organizationId: t.organizationId })
    assert.equal(await storeSnooze(rowsOf, key, new Date(inMinutes(1))), false)
    assert.equal(await rows('request_snoozes', id), 0)
  })

  test('says until when, may be put aside anew, and comes back', async () => {
    const { id } = await t.createRequest()
    const until = inMinutes(60)
    const reply = await snooze(id.toUpperCase(), until)
    assert.deepEqual([reply.status, reply.body], [200, { request_id: id, until }])
    assert.equal((await snooze(id, inMinutes(5))).status, 200)
    assert.equal(await rows('request_snoozes', id), 1)
    for (const _ of [1, 2])
      assert.equal((await t.call('DELETE', on(id, 'snooze'), { as: t.reviewer.token })).status, 204)
    assert.equal(await rows('request_snoozes', id), 0)
  })

  test('422 for a time that is over or too far, 409 once the request is closed, 404 for that of others', async () => {
    const { id } = await t.createRequest()
    for (const until of [inMinutes(0), inMinutes(longestSnoozeDays * 1_440 + 1), 'tomorrow'])
      assert.equal((await snooze(id, until)).status, 422, until)
    const other = await addOrganization(t)
    assert.equal((await snooze(id, inMinutes(1), other.reviewer.token)).status, 404)
    assert.equal((await t.call('DELETE', on(id, 'snooze'), { as: other.reviewer.token })).status, 404)
    await cancel(id)
    assert.equal((await snooze(id, inMinutes(1))).body.code, 'consultation.already_cancelled')
  })

  test('409 beyond as many as a person may put aside', async () => {
    const person = await addPerson(t)
    const { id } = await t.createRequest()
    // Of requests that do not exist: only their number counts.
    await t.sql('alter table request_snoozes disable trigger all')
    await t.sql(
      `insert into request_snoozes (organization_id, user_id, request_id, until)
       select $1, $2, gen_random_uuid(), $3::timestamptz from generate_series(1, $4::int)`,
      [t.organizationId, person.id, inMinutes(60), mostSnoozed],
    )
    await t.sql('alter table request_snoozes enable trigger all')
    const reply = await snooze(id, inMinutes(5), person.token)
    assert.deepEqual([reply.status, reply.body.code], [409, 'inbox.too_many_snoozed'])
    await t.sql('delete from request_snoozes where user_id = $1', [person.id])
    assert.equal((await snooze(id, inMinutes(5), person.token)).status, 200)
  })

  test('leaves no row once its time has come', async () => {
    const { id } = await t.createRequest()
    await snooze(id, inMinutes(1))
    t.clock.advance(60_000)
    await t.app.drain()
    assert.equal(await rows('request_snoozes', id), 0)
  })

  test("is in nobody's audit", async () => {
    const { id } = await t.createRequest()
    await snooze(id, inMinutes(1))
    await save(id)
    assert.deepEqual(await t.sql('select kind from events where subject_id = $1', [id]), [{ kind: 'request.created' }])
  })
})

describe('an unfinished answer', () => {
  test('is returned exactly as it was written, to the person who wrote it alone', async () => {
    const { id } = await t.createRequest()
    assert.equal((await draft(id)).body.code, 'inbox.no_draft')
    const payload = '{"revision":1,"answer":{"data":{"amount":1.10,"n": 1.0}}}'
    const saved = await t.call('PUT', on(id, 'draft'), {
      as: t.reviewer.token,
      payload,
      headers: { 'content-type': 'application/json' },
    })
    assert.equal(saved.status, 200, saved.text)
    const { text } = await draft(id.toUpperCase())
    assert.equal(text, saved.text)
    assert.ok(text.includes('{"data":{"amount":1.10,"n": 1.0}}'), text)
    assert.equal((await draft(id, t.admin.token)).body.code, 'inbox.no_draft')
    assert.equal((await t.call('DELETE', on(id, 'draft'), { as: t.reviewer.token })).status, 204)
    assert.equal((await draft(id)).status, 404)
  })

  test("404 for another organization's request, 422 above 64 KiB, 409 once it is closed", async () => {
    const { id } = await t.createRequest()
    const other = await addOrganization(t)
    assert.equal((await save(id, {}, other.reviewer.token)).body.code, 'consultation.not_found')
    assert.equal((await draft(id, other.reviewer.token)).body.code, 'consultation.not_found')
    assert.equal((await save(id, { comment: 'x'.repeat(65_536) })).body.errors[0].path, 'answer')
    await cancel(id)
    assert.equal((await save(id)).body.code, 'consultation.already_cancelled')
  })

  for (const [how, close] of [
    ['is withdrawn', cancel],
    [
      'is answered',
      (id: string) =>
        t.call('POST', `/api/v1/requests/${id}/respond`, { as: t.admin.token, body: { decision: 'approve' } }),
    ],
    [
      'times out',
      async () => {
        t.clock.advance(60_000)
        await t.app.drain()
      },
    ],
  ] as const) {
    test(`is gone when the request ${how}, everybody's`, async () => {
      const { id } = await t.createRequest({ timeout_minutes: 1 })
      await save(id)
      await save(id, {}, t.admin.token)
      await close(id)
      assert.equal(await rows('request_drafts', id), 0)
      assert.equal((await draft(id)).status, 404)
    })
  }

  test('is there again after an undo, and gone when the hold is over', async () => {
    const { id } = await t.createRequest()
    await save(id)
    const answer = { as: t.reviewer.token, body: { decision: 'approve', hold_seconds: 10 } }
    await t.call('POST', `/api/v1/requests/${id}/respond`, answer)
    await t.call('POST', `/api/v1/requests/${id}/undo`, { as: t.reviewer.token })
    assert.equal((await draft(id)).status, 200)
    await t.call('POST', `/api/v1/requests/${id}/respond`, answer)
    t.clock.advance(10_000)
    await t.app.drain()
    assert.equal(await rows('request_drafts', id), 0)
  })

  test('of a person the newest are kept', async () => {
    const person = await addPerson(t)
    const ids = await createMany(mostDrafts + 1)
    for (const id of ids) {
      t.clock.advance(1)
      assert.equal((await save(id, {}, person.token)).status, 200)
    }
    const kept = async () =>
      (await t.sql('select request_id from request_drafts where user_id = $1 order by request_id', [person.id])).map(
        ({ request_id }) => request_id,
      )
    assert.deepEqual(await kept(), ids.slice(1).toSorted())
    // One that is refused, because the request was closed meanwhile, costs none of them.
    const closed = await t.createRequest()
    await cancel(closed.id)
    const key = { organizationId: t.organizationId, userId: person.id, requestId: closed.id }
    const late = { revision: 1, answer: '{}' as JsonText, updatedAt: t.clock.now() }
    assert.equal(await saveDraft(t.app.db.within({ organizationId: t.organizationId }), key, late), false)
    assert.deepEqual(await kept(), ids.slice(1).toSorted())
  })

  test('is erased with its person, as what they put aside is', async () => {
    const person = await addPerson(t)
    const { id } = await t.createRequest()
    await save(id, {}, person.token)
    await snooze(id, inMinutes(5), person.token)
    await save(id)
    await t.app.audit.drain()
    const erasure = { as: t.admin.token, body: { user_id: person.id, reason: 'they asked for it' } }
    assert.equal((await t.call('POST', '/api/v1/events/erasures', erasure)).status, 200)
    assert.deepEqual(await t.sql('select user_id from request_drafts where request_id = $1', [id]), [
      { user_id: t.reviewer.id },
    ])
    assert.equal(await rows('request_snoozes', id), 0)
  })
})

describe('a saved view', () => {
  interface SavedView {
    readonly id: string
    readonly name: string
    readonly query: string
  }
  const view = { name: 'High risk of storage', query: 'risk=high,critical&tag=storage&queue=all' }
  const make = (body: object = view, as = t.reviewer.token) => t.call('POST', '/api/v1/views', { as, body })
  const viewsOf = async (as: string): Promise<readonly SavedView[]> =>
    (await t.call('GET', '/api/v1/views', { as })).body.items
  const at = (method: string, id: string, { as = t.reviewer.token, body }: { as?: string; body?: object } = {}) =>
    t.call(method, `/api/v1/views/${id}`, { as, ...(body === undefined ? {} : { body }) })

  test("is kept as it was written, is renamed and deleted, and is nobody else's", async () => {
    const [person, colleague] = [await addPerson(t), await addPerson(t)]
    const made = await make(view, person.token)
    assert.equal(made.status, 201, made.text)
    const { id } = made.body
    assert.equal(made.headers.location, `/api/v1/views/${id}`)
    assert.deepEqual(await viewsOf(person.token), [made.body])
    assert.deepEqual(await viewsOf(colleague.token), [])
    t.clock.advance(1_000)
    const changed = { name: 'Storage', query: 'tag=storage' }
    for (const method of ['PUT', 'DELETE', 'GET']) {
      const path = method === 'GET' ? `${id}/count` : id
      const reply = await at(method, path, { as: colleague.token, ...(method === 'PUT' && { body: changed }) })
      assert.deepEqual([reply.status, reply.body.code], [404, 'inbox.no_view'], method)
    }
    const saved = await at('PUT', id.toUpperCase(), { as: person.token, body: changed })
    assert.deepEqual(saved.body, { ...made.body, ...changed, updated_at: t.clock.now().toISOString() })
    assert.equal((await at('DELETE', id, { as: person.token })).status, 204)
    assert.equal((await at('DELETE', id, { as: person.token })).status, 404)
    assert.deepEqual(await viewsOf(person.token), [])
  })

  test('counts the requests of its list, and says where there may be more', async () => {
    const { organizationId, reviewer } = await addOrganization(t)
    const as = reviewer.token
    const key = (await addApiKey(t, organizationId)).raw
    const ask = async (...requests: readonly object[]): Promise<readonly { readonly id: string }[]> => {
      const body = { requests: requests.map((one) => ({ title: 'May I?', context: {}, tags: ['counted'], ...one })) }
      return (await t.call('POST', '/api/v1/requests/batch', { as: key, body })).body.items
    }
    const { id } = (await make({ name: 'Counted', query: 'tag=counted&queue=all' }, as)).body
    const count = async () => (await at('GET', `${id}/count`, { as })).body
    assert.deepEqual(await count(), { count: 0, is_more: false })
    const [first] = await ask({}, {}, { tags: ['other'] })
    assert.deepEqual(await count(), { count: 2, is_more: false })
    await snooze(first?.id ?? '', inMinutes(5), as)
    assert.deepEqual(await count(), { count: 1, is_more: false })
    await ask(...Array.from({ length: 101 }, () => ({})))
    assert.deepEqual(await count(), { count: 100, is_more: true })
  })

  test('is one that a list takes: 422 for each query that the list itself would refuse, and for what is about one page', async () => {
    for (const [query, says] of [
      ['risk=extreme', /risk must be one of/],
      ['riks=high', /riks is not known here; did you mean risk/],
      ['queue=done&state=pending', /state cannot be pending in the queue done/],
      ['risk=low&risk=high', /risk is there twice/],
      ['tag=%00', /must have no NUL/],
      ['limit=5', /limit is about one page/],
      ['cursor=x', /cursor is about one page/],
      ['updated_after=2026-01-01T00:00:00Z', /updated_after is about one page/],
    ] as const) {
      const reply = await make({ ...view, query })
      assert.equal(reply.status, 422, query)
      assert.match(reply.body.detail, says)
      assert.match(reply.body.errors[0].path, /^query/)
    }
    for (const name of ['', ' x', 'x'.repeat(61), 'a\nb'])
      assert.equal((await make({ ...view, name })).status, 422, name)
    assert.equal((await make({ name: 'All', query: '' })).status, 201)
    assert.equal((await make({ name: 'Run', query: 'metadata.run=47%2C11&sort=priority' })).status, 201)
  })

  test(`409 beyond ${mostViews}, however many come at once; a repeated call saves none`, async () => {
    const person = await addPerson(t)
    const headers = { 'idempotency-key': 'a-view' }
    const once = () => t.call('POST', '/api/v1/views', { as: person.token, body: view, headers })
    assert.equal((await once()).text, (await once()).text)
    const replies = await Promise.all(
      Array.from({ length: mostViews + 4 }, (_, place) => make({ ...view, name: `View ${place}` }, person.token)),
    )
    const refused = replies.filter(({ status }) => status !== 201)
    assert.deepEqual(
      refused.map(({ status, body }) => [status, body.code]),
      Array.from({ length: 5 }, () => [409, 'inbox.too_many_views']),
    )
    const [first] = await viewsOf(person.token)
    await at('DELETE', first?.id ?? '', { as: person.token })
    assert.equal((await make(view, person.token)).status, 201)
  })

  test('is erased with its person', async () => {
    const person = await addPerson(t)
    await make(view, person.token)
    await t.app.audit.drain()
    const erasure = { as: t.admin.token, body: { user_id: person.id, reason: 'they asked for it' } }
    assert.equal((await t.call('POST', '/api/v1/events/erasures', erasure)).status, 200)
    assert.deepEqual(await t.sql('select id from saved_views where user_id = $1', [person.id]), [])
  })
})
