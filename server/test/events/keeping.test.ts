import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import { inTransaction, openDb } from '../../src/platform/database/db.ts'
import { eventually } from '../eventually.ts'
import { createFakeClock, type Reply, startTestApp, type TestApp } from '../harness.ts'
import { startReceiver } from '../receivers.ts'
import { addEvents, exportOf, sealAll, verified } from './chain.ts'

const day = 86_400_000
let t: TestApp
// A year ago, so that the retention period is over by the clock of the database.
before(async () => {
  t = await startTestApp({ clock: createFakeClock(new Date(Date.now() - 400 * day)) })
})
after(() => t.stop())

const policy = '/api/v1/events/policy'
const change = (body: object, as = t.admin.token) =>
  t.call('PATCH', policy, { as, body: { reason: 'a test', ...body } })
const erase = (body: object, as = t.admin.token) =>
  t.call('POST', '/api/v1/events/erasures', { as, body: { reason: 'case 17', ...body } })
const count = async (): Promise<number> =>
  Number((await t.sql('select count(*) from events where organization_id = $1', [t.organizationId]))[0]?.count)
const newest = async (kind: string) =>
  (await t.call('GET', `/api/v1/events?kind=${kind}&limit=1`, { as: t.admin.token })).body.items[0]

/** Verifies once everything is sealed, including erasures, because an unsealed erasure leaves parts unproven. */
const verifiedAll = async () => {
  await sealAll(t)
  return verified(t, await exportOf(t))
}

describe('the policy', () => {
  test('keeps everything for ever by default, and every change is an event', async () => {
    assert.deepEqual((await t.call('GET', policy, { as: t.admin.token })).body, {
      retention_days: null,
      legal_hold: false,
    })
    const reply = await change({ retention_days: 365 })
    assert.deepEqual([reply.status, reply.body], [200, { retention_days: 365, legal_hold: false }])
    const event = await newest('audit.policy_changed')
    const { assurance, ...audited } = event.after
    assert.equal(assurance.method, 'sign_in')
    assert.deepEqual(
      [event.actor.id, event.before, audited, event.erasable],
      [
        t.admin.id,
        { retention_days: null, legal_hold: false },
        { retention_days: 365, legal_hold: false },
        { reason: 'a test', network: '127.0.0.1' },
      ],
    )
    const before = await count()
    assert.equal((await change({ retention_days: 365 })).status, 200)
    assert.equal(await count(), before, 'the same again is no event')
    await change({ retention_days: null })
  })

  test('422 below six months, without a reason, and when it names nothing', async () => {
    for (const body of [{ retention_days: 183 }, { retention_days: 1.5 }, { legal_hold: true, reason: '' }, {}]) {
      assert.equal((await change(body)).status, 422, JSON.stringify(body))
    }
  })

  test('403 for people who may not manage the audit', async () => {
    assert.equal((await change({ legal_hold: true }, t.reviewer.token)).status, 403)
    assert.equal((await erase({ user_id: t.reviewer.id }, t.reviewer.token)).status, 403)
  })
})

describe('erasure', () => {
  test('of a request removes texts and addresses but not the fact that it happened; the chain stays valid', async () => {
    const { id } = await t.createRequest({ title: 'Refund Jane Doe?', callback_webhook: null })
    const body = { decision: 'approve', comment: 'She lives at 1 High Street' }
    await t.call('POST', `/api/v1/requests/${id}/respond`, { as: t.reviewer.token, body })
    await sealAll(t)
    assert.deepEqual((await erase({ request_id: id.toUpperCase() })).body, { erased: 2 })
    const { body: timeline } = await t.call('GET', `/api/v1/requests/${id}/events`, { as: t.admin.token })
    assert.deepEqual(
      timeline.items.map((e: Record<string, unknown>) => [e.kind, e.erasable, e.erased]),
      [
        ['request.created', null, true],
        ['request.responded', null, true],
        ['audit.erased', { network: '127.0.0.1' }, false],
      ],
    )
    assert.equal(timeline.items[1].after.decision, 'approve')
    const text = await exportOf(t)
    assert.ok(!text.includes('Jane Doe') && !text.includes('High Street'))
    const result = await verified(t, text)
    assert.deepEqual([result.findings, result.erased], [[], 2])
  })

  test('is an event with who erased what and why; a second time there is nothing to erase', async () => {
    const event = await newest('audit.erased')
    assert.deepEqual([event.actor.id, event.after.reason, event.after.events.length], [t.admin.id, 'case 17', 2])
    assert.deepEqual((await erase({ request_id: event.subject.id })).body, { erased: 0 })
    assert.equal((await newest('audit.erased')).id, event.id)
  })

  test('of a request empties its own row and its callbacks too, and its approval cannot be used any more', async (context) => {
    const receiver = await startReceiver()
    context.after(() => receiver.close())
    const secretive = { note: 'Jane Doe' }
    const made = await t.createRequest({
      title: 'Refund Jane Doe?',
      description: 'Jane Doe asks.',
      context: secretive,
      metadata: secretive,
      callback_webhook: receiver.url,
    })
    const path = `/api/v1/requests/${made.id}`
    const open = await erase({ request_id: made.id })
    assert.deepEqual([open.status, open.body.code], [409, 'consultation.still_open'])
    assert.equal((await t.call('GET', path, { as: t.admin.token })).body.title, 'Refund Jane Doe?')
    const answer = { decision: 'approve', comment: 'Jane Doe is right.' }
    await t.call('POST', `${path}/respond`, { as: t.reviewer.token, body: answer })
    await t.app.drain()
    const { erased } = (await erase({ request_id: made.id })).body
    assert.ok(erased >= 2)
    const { body: left } = await t.call('GET', path, { as: t.admin.token })
    assert.deepEqual(
      [left.title, left.description, left.context, left.metadata, left.response.comment, left.callback_webhook],
      ['Erased', null, {}, null, null, null],
    )
    assert.deepEqual(
      [left.digest, left.response.decision, left.erased_at],
      [made.digest, 'approve', t.clock.now().toISOString()],
    )
    for (const table of [
      'consultation_requests',
      'consultation_answers',
      'deliveries',
      'delivery_attempts',
      'events',
    ]) {
      const rows = await t.sql(
        `select from ${table} x where x::text like '%Jane Doe%' or x::text like '%${receiver.url}%'`,
      )
      assert.equal(rows.length, 0, table)
    }
    const used = await t.call('POST', `${path}/redeem`, { as: t.apiKey })
    assert.deepEqual([used.status, used.body.code], [409, 'consultation.erased'])
    const { body: pack } = await t.call('GET', `${path}/evidence`, { as: t.admin.token })
    const results = pack.checks.map(({ check, result }: { check: string; result: string }) => [check, result])
    assert.equal(Object.fromEntries(results).digest, 'open')
    assert.ok(results.every(([, result]: [string, string]) => result !== 'fails'))
  })

  test('of a person empties what they wrote in the rows that they decided', async () => {
    const { id } = await t.createRequest()
    const body = { decision: 'reject', comment: 'I, Jane Doe, say no.' }
    await t.call('POST', `/api/v1/requests/${id}/respond`, { as: t.reviewer.token, body })
    assert.equal((await erase({ user_id: t.reviewer.id })).status, 200)
    const { body: left } = await t.call('GET', `/api/v1/requests/${id}`, { as: t.admin.token })
    assert.deepEqual([left.response.decision, left.response.comment], ['reject', null])
  })

  test('of a person reaches all they did, and all that was done to them, over many events', async () => {
    const ids = await Promise.all(Array.from({ length: 30 }, async () => (await t.createRequest()).id))
    for (const id of ids) {
      const body = { decision: 'reject', comment: 'by a person who wants to be forgotten' }
      await t.call('POST', `/api/v1/requests/${id}/respond`, { as: t.reviewer.token, body })
    }
    const { erased } = (await erase({ user_id: t.reviewer.id })).body
    assert.ok(erased >= 30)
    const left = await t.sql(
      `select id from events where organization_id = $1 and (actor_id = $2 or subject_id = $2) and erasable is not null
         and kind <> 'audit.erased'`,
      [t.organizationId, t.reviewer.id],
    )
    assert.deepEqual(left, [])
    const created = await t.sql(`select id from events where kind = 'request.created' and erasable is null`)
    assert.equal(created.length, 2, 'what others wrote stays: only the requests of the tests before are gone')
    const result = await verifiedAll()
    assert.deepEqual(result.findings, [])
  })

  test('of a person covers the address of their invitation; of an invitation, the address of a person who never came', async () => {
    const invite = async (email: string) =>
      (await t.call('POST', '/api/v1/invitations', { as: t.admin.token, body: { email } })).body
    const holding = async (text: string) =>
      (await t.sql('select kind from events where erasable like $1', [`%${text}%`])).map(({ kind }) => kind)
    const came = await invite('came@example.com')
    const never = await invite('never@example.com')
    const registration = { email: 'came@example.com', password: 'correct horse battery', invitation: came.token }
    const registered = await t.call('POST', '/api/v1/auth/register', { body: registration })
    assert.equal(registered.status, 201, registered.text)
    const [user] = await t.sql(`select id from users where email_key = 'came@example.com'`)
    assert.ok((await holding('came@example.com')).includes('invitation.created'))
    assert.ok((await erase({ user_id: user?.id })).body.erased >= 2)
    assert.deepEqual(await holding('came@example.com'), [])
    assert.deepEqual(await holding('never@example.com'), ['invitation.created'])
    assert.deepEqual((await erase({ invitation_id: never.id.toUpperCase() })).body, { erased: 1 })
    assert.deepEqual(await holding('never@example.com'), [])
    const { subject, after } = await newest('audit.erased')
    assert.deepEqual([subject, after.reason], [{ kind: 'invitation', id: never.id }, 'case 17'])
    assert.deepEqual((await verifiedAll()).findings, [])
  })

  test('of oneself terminates', async () => {
    assert.ok((await erase({ user_id: t.admin.id })).body.erased > 0)
    const result = await verifiedAll()
    assert.deepEqual(result.findings, [])
  })

  test('is distinguished from a part that was cut out of the table', async () => {
    const { id } = await t.createRequest({ title: 'cut out' })
    // Only the owner of the table can do this, after disabling its triggers.
    await t.sql(`alter table events disable trigger append_only`)
    await t.sql('update events set erasable = null where subject_id = $1', [id])
    await t.sql(`alter table events enable trigger append_only`)
    const { findings } = await verifiedAll()
    assert.deepEqual(
      findings.map(({ code }) => code),
      ['erasable.missing'],
    )
  })

  test('422 without a subject, or with two', async () => {
    const [one, other] = [randomUUID(), randomUUID()]
    for (const body of [
      {},
      { user_id: one, request_id: other },
      { user_id: one, invitation_id: other },
      { user_id: 'me' },
    ]) {
      assert.equal((await erase(body)).status, 422, JSON.stringify(body))
    }
  })

  test('409 under legal hold, which the database also enforces', async () => {
    await change({ legal_hold: true })
    const reply = await erase({ user_id: t.reviewer.id })
    assert.deepEqual([reply.status, reply.body.code], [409, 'audit.legal_hold'])
    const refused = await newest('audit.erasure_refused')
    assert.deepEqual(
      [refused.actor.id, refused.subject, refused.after],
      [t.admin.id, { kind: 'user', id: t.reviewer.id }, { code: 'audit.legal_hold', reason: 'case 17' }],
    )
    await assert.rejects(
      t.sql(
        `begin; select set_config('hitl.organization', '${t.organizationId}', true); select hitl_audit_erase('[]')`,
      ),
      /legal hold/,
    )
    await t.sql('rollback')
    await change({ legal_hold: false })
  })
})

describe('a legal hold that is being set stops what has not happened yet, even without an earlier policy', () => {
  const waiting = (u: TestApp) =>
    eventually('somebody waits', async () => {
      const rows = await u.sql(`select from pg_locks where locktype = 'advisory' and not granted
        and database = (select oid from pg_database where datname = current_database())`)
      return rows.length > 0
    })
  const lockChain = (organizationId: string) =>
    `select pg_advisory_xact_lock(hashtextextended('hitl audit ${organizationId}', 0))`
  const erasables = async (u: TestApp) =>
    (await u.sql(`select from events where erasable is not null and kind <> 'audit.erasure_refused'`)).length

  /** Another process is setting a hold and has not committed; returns a function that commits. */
  const holdBegun = async (u: TestApp): Promise<() => Promise<void>> => {
    const other = new pg.Client({ ...u.connection, user: 'postgres' })
    await other.connect()
    await other.query(`begin; ${lockChain(u.organizationId)}`)
    await other.query('insert into audit_policies values ($1, null, true, now())', [u.organizationId])
    return async () => {
      await other.query('commit')
      await other.end()
    }
  }

  test('an erasure waits for it and erases nothing', async (context) => {
    const u = await startTestApp()
    context.after(() => u.stop())
    const { id } = await u.createRequest()
    const before = await erasables(u)
    const commit = await holdBegun(u)
    const body = { request_id: id, reason: 'a test' }
    const erasing = u.call('POST', '/api/v1/events/erasures', { as: u.admin.token, body })
    await waiting(u)
    await commit()
    const reply = await erasing
    assert.deepEqual([reply.status, reply.body.code], [409, 'audit.legal_hold'])
    assert.equal(await erasables(u), before)
  })

  test('in the database too', async (context) => {
    const u = await startTestApp()
    context.after(() => u.stop())
    const commit = await holdBegun(u)
    const eraser = new pg.Client({ ...u.connection, user: 'postgres' })
    await eraser.connect()
    await eraser.query(`select set_config('hitl.organization', $1, false)`, [u.organizationId])
    const erasing = assert.rejects(eraser.query(`select hitl_audit_erase('[]')`), /legal hold/)
    await waiting(u)
    await commit()
    await erasing
    await eraser.end()
  })

  test('it waits for a batch of a deletion that found no hold', async (context) => {
    const u = await startTestApp()
    context.after(() => u.stop())
    const db = openDb({ connection: u.connection, poolSize: 1, onError: () => {} })
    let reply: Promise<Reply> | undefined
    await inTransaction(db, { organizationId: u.organizationId }, async (tx) => {
      assert.equal(await u.app.audit.isHeld(tx, u.organizationId), false)
      const body = { legal_hold: true, reason: 'lawsuit' }
      reply = u.call('PATCH', policy, { as: u.admin.token, body })
      await waiting(u)
    })
    assert.equal((await reply)?.status, 200)
    await inTransaction(db, { organizationId: u.organizationId }, async (tx) => {
      assert.equal(await u.app.audit.isHeld(tx, u.organizationId), true)
    })
    await db.close()
  })
})

describe('retention', () => {
  test('purges whole batches that are older and keeps the last of their seals as an anchor; the rest still verifies', async () => {
    await sealAll(t)
    const old = await count()
    await t.app.audit.drain()
    assert.equal(await count(), old, 'nothing is purged without a policy')
    // By the database's clock, which is what counts, everything so far is 400 days old, and this is not.
    await addEvents(t)
    await sealAll(t)
    assert.equal((await change({ retention_days: 184 })).status, 200)
    await sealAll(t)
    const left = await count()
    assert.ok(left < 5, `${left} of ${old} events are left`)
    const event = await newest('audit.purged')
    assert.deepEqual([event.actor.kind, event.after.events], ['timer', old])
    const result = await eventually('whole, once the event of the purge is sealed', async () => {
      const verification = await verifiedAll()
      return verification.ok ? verification : null
    })
    assert.equal(result.firstPosition, event.after.up_to_position + 1)
    assert.match(result.limits.join(), /proves nothing about the events before/)
    const { length } = await t.sql('select from audit_seals where organization_id = $1 and number < $2', [
      t.organizationId,
      event.after.up_to_seal,
    ])
    assert.equal(length, 0, 'older seals go with their events')
  })

  test('purges nothing under legal hold', async () => {
    const u = await startTestApp({ clock: createFakeClock(new Date(Date.now() - 400 * day)) })
    const asAdmin = { as: u.admin.token, body: { retention_days: 184, legal_hold: true, reason: 'lawsuit' } }
    assert.equal((await u.call('PATCH', policy, asAdmin)).status, 200)
    const held = async () => Number((await u.sql('select count(*) from events'))[0]?.count)
    await u.app.audit.drain()
    const before = await held()
    await u.app.audit.drain()
    assert.ok((await held()) >= before)
    const purges = async () => (await u.sql(`select from events where kind = 'audit.purged'`)).length
    assert.equal(await purges(), 0)
    const lifted = { as: u.admin.token, body: { legal_hold: false, reason: 'settled' } }
    assert.equal((await u.call('PATCH', policy, lifted)).status, 200)
    await eventually('purged afterwards', async () => {
      await u.app.audit.drain()
      return (await purges()) > 0
    })
    assert.equal(await purges(), 1)
    await u.stop()
  })
})
