import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { longestSnoozeDays, mostDrafts, mostSnoozed } from '../../src/inbox/inbox.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { addOrganization, addPerson } from '../people-and-keys.ts'

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

describe('a request that is put aside', () => {
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
    const requests = Array.from({ length: mostDrafts + 1 }, () => ({ title: 'May I?', context: {} }))
    const made = await t.call('POST', '/api/v1/requests/batch', { as: t.apiKey, body: { requests } })
    const ids: string[] = made.body.items.map(({ id }: { id: string }) => id)
    for (const id of ids) {
      t.clock.advance(1)
      assert.equal((await save(id, {}, person.token)).status, 200)
    }
    const kept = await t.sql('select request_id from request_drafts where user_id = $1', [person.id])
    assert.deepEqual(kept.map(({ request_id }) => request_id).toSorted(), ids.slice(1).toSorted())
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
