import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import { mostOfCaller } from '../../../src/identity/replies/reply.ts'
import { unrepeatableActs } from '../../../src/identity/replies/unrepeatable-acts.ts'
import { newId } from '../../../src/platform/ids.ts'
import * as credentials from '../../authorization/credentials.ts'
import { allowed } from '../../authorization/expectations.ts'
import { type Call, type Operation, operationsOf } from '../../authorization/operations.ts'
import { replyOnOwn } from '../../authorization/own-reply.ts'
import { site } from '../../authorization/own-things.ts'
import { addTenant, type Tenant } from '../../authorization/tenant.ts'
import { eventually } from '../../eventually.ts'
import { type Reply, startTestApp, type TestApp } from '../../harness.ts'
import { resolvedDocument } from '../../http/resolved-document.ts'
import { type OpenIdProvider, startOpenIdProvider } from '../sso/openid-provider.ts'

interface Documented {
  readonly operationId: string
  readonly parameters?: readonly { readonly name: string }[]
  readonly responses: Readonly<Record<string, { readonly headers?: object }>>
}

describe('every POST of the document', () => {
  let t: TestApp
  let provider: OpenIdProvider
  let host: Tenant
  let posts: readonly Operation[]
  before(async () => {
    provider = await startOpenIdProvider()
    t = await startTestApp({
      workers: false,
      environment: {
        PUBLIC_URL: site.origin,
        SSO_ALLOW: '127.0.0.0/8',
        RATE_LIMIT_ADDRESS: 'off',
        SMTP_URL: 'smtp://127.0.0.1:1',
        MAIL_FROM: 'hitl@example.com',
      },
    })
    host = await addTenant(t)
    const ownProvider = { name: 'x', issuer: provider.issuer, client_id: newId(), scopes: ['email'], role_map: {} }
    const bodies = { createIdentityProvider: ownProvider, createTeam: { name: newId() } }
    posts = operationsOf(t, bodies).filter(({ method }) => method === 'POST')
  })
  after(async () => {
    await t.stop()
    await provider.close()
  })

  test('takes Idempotency-Key, or a reason says why its repetition needs none', () => {
    const { paths } = resolvedDocument(t) as { paths: Record<string, { post?: Documented }> }
    const all = Object.values(paths).flatMap(({ post }) => post ?? [])
    const without = all.filter(({ parameters = [] }) => !parameters.some(({ name }) => name === 'idempotency-key'))
    assert.deepEqual(without.map(({ operationId }) => operationId).sort(), Object.keys(unrepeatableActs).sort())
    for (const { operationId, responses } of all) {
      const setsCookie = Object.values(responses).some(({ headers = {} }) => 'Set-Cookie' in headers)
      if (setsCookie) assert.ok(operationId in unrepeatableActs, `${operationId} sets a cookie, which is not kept`)
    }
  })

  test('does its work once, and gives its repetitions the same reply', async () => {
    const played = posts.filter(({ id }) => !(id in unrepeatableActs))
    assert.ok(played.length > 30)
    for (const operation of played) {
      const may = allowed[operation.id]
      assert.ok(may !== undefined && may !== 'public', operation.id)
      const caller = may.includes('owner') ? 'owner' : 'agent'
      const tenant = await addTenant(t)
      const scene = {
        t,
        tenant,
        caller,
        token: credentials.live(tenant, caller),
        host,
        issuer: provider.issuer,
      } as const
      const key = newId()
      let sent: ((end?: string) => Promise<Reply>) | undefined
      let sentBody: unknown
      const send = async (call: Call, as: string, stepUp?: string): Promise<Reply> => {
        const form = call.body instanceof FormData ? new Response(call.body) : null
        const type = form?.headers.get('content-type') ?? 'application/json'
        const headers = {
          'idempotency-key': key,
          ...(stepUp !== undefined && { 'x-step-up': stepUp }),
          ...(call.body !== undefined && { 'content-type': type }),
        }
        // What a form holds is compared, not its bytes.
        sentBody = form === null ? call.body : undefined
        const text = call.body === undefined ? null : ((await form?.text()) ?? JSON.stringify(call.body))
        sent = (end = '') =>
          t.call(call.method, call.path, { as, headers, ...(text !== null && { payload: text + end }) })
        return sent()
      }
      const first = await replyOnOwn(operation, scene, send)
      assert.ok(first.status < 300, `${operation.id}: ${first.text}`)
      assert.equal(first.headers['idempotency-replayed'], undefined, operation.id)
      // Refusals of the calls before are written a second after them, and a callback of theirs may be sent now.
      const events = async () => {
        await t.app.audit.refusedCalls.flush()
        return t.sql(`select kind, count(*)::int from events where actor_kind not in ('system', 'timer')
          group by kind order by kind`)
      }
      const done = await events()
      t.clock.advance(1_000)
      const again = await sent?.()
      assert.equal(again?.headers['idempotency-replayed'], 'true', `${operation.id}: ${again?.text}`)
      assert.deepEqual([again?.status, again?.text], [first.status, first.text], operation.id)
      assert.equal(again?.headers['content-type'], first.headers['content-type'], operation.id)
      assert.deepEqual(await events(), done, `${operation.id} did something again`)
      if (sentBody === undefined) continue
      const other = await sent?.('\n')
      assert.equal(other?.body.code, 'idempotency.body_differs', `${operation.id}: ${other?.text}`)
    }
  })
})

describe('a call under an Idempotency-Key', () => {
  let t: TestApp
  before(async () => {
    t = await startTestApp()
  })
  after(() => t.stop())

  const agent = async (): Promise<string> => {
    const reply = await t.call('POST', '/api/v1/agents', { as: t.admin.token, body: { name: newId() } })
    assert.equal(reply.status, 201, reply.text)
    return reply.body.id
  }
  const pause = (id: string, key: string, as = t.admin.token) =>
    t.call('POST', `/api/v1/agents/${id}/pause`, { as, body: { reason: 'x' }, headers: { 'idempotency-key': key } })
  const kept = () => t.sql('select reply from kept_replies where reply is not null order by id')

  test('a large reply is repeated whole', async () => {
    const { id } = await t.createRequest({ context: { text: 'x'.repeat(50_000) } })
    const path = `/api/v1/requests/${id}`
    const answered = await t.call('POST', `${path}/respond`, { as: t.reviewer.token, body: { decision: 'approve' } })
    assert.equal(answered.status, 200)
    const call = { as: t.apiKey, body: { status: 'executed' }, headers: { 'idempotency-key': newId() } }
    const [first, again] = [
      await t.call('POST', `${path}/outcome`, call),
      await t.call('POST', `${path}/outcome`, call),
    ]
    assert.deepEqual([again.status, again.headers['idempotency-replayed']], [200, 'true'])
    assert.ok(first.text.length > 50_000)
    assert.equal(again.text, first.text)
  })

  test('409 with Retry-After while the first is under way, and then its reply', async () => {
    const id = await agent()
    const holder = new pg.Client({ ...t.connection })
    await holder.connect()
    await holder.query(`select set_config('hitl.organization', $1, false)`, [t.organizationId])
    await holder.query('begin')
    await holder.query('select from agents where id = $1 for update', [id])
    const first = pause(id, 'at-once')
    await eventually('the first waits for the lock', async () => {
      const [row] = await t.sql(`select count(*)::int as waiting from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`)
      return row?.waiting === 1
    })
    const second = await pause(id, 'at-once')
    assert.deepEqual([second.status, second.body.code], [409, 'idempotency.under_way'])
    assert.equal(second.headers['retry-after'], '1')
    await holder.end()
    const { status, text } = await first
    assert.equal(status, 200, text)
    assert.equal((await pause(id, 'at-once')).text, text)
  })

  test('may be repeated a minute later when its process died before it replied', async () => {
    const id = await agent()
    const idempotency = { key: 'died', hash: Buffer.alloc(32), isOf: () => true }
    const call = {
      organizationId: t.organizationId,
      callerId: t.admin.id,
      path: `/api/v1/agents/${id}/pause`,
    }
    assert.ok('claim' in (await t.app.identity.keptReplies.begin(call, idempotency)))
    const sooner = await pause(id, 'died')
    assert.equal(sooner.status, 422, 'its body was another one')
    t.clock.advance(60_000)
    const later = await pause(id, 'died')
    assert.equal(later.status, 200, later.text)
    assert.equal((await pause(id, 'died')).headers['idempotency-replayed'], 'true')
  })

  test('is judged again after a refusal, which is not kept', async () => {
    const before = await kept()
    const missing = await pause(newId(), 'missing')
    assert.equal(missing.status, 404)
    assert.deepEqual(await kept(), before)
    const id = await agent()
    const turned = (act: string) => t.sql(act, [id])
    await turned(`update agents set status = 'stopped', paused_at = now() where id = $1`)
    assert.equal((await pause(id, 'stopped')).body.code, 'agent.already_stopped')
    await turned(`update agents set status = 'active', paused_at = null where id = $1`)
    assert.equal((await pause(id, 'stopped')).status, 200)
  })

  test('is not the call of another caller, of another item or of a day ago', async () => {
    const [id, other] = [await agent(), await agent()]
    assert.equal((await pause(id, 'mine')).status, 200)
    for (const reply of [await pause(other, 'mine'), await pause(id.toUpperCase(), 'mine')])
      assert.equal(reply.status, 200, reply.text)
    assert.equal((await pause(id.toUpperCase(), 'mine')).headers['idempotency-replayed'], 'true')
    const theirs = await t.call('POST', '/api/v1/auth/sessions/revoke-others', {
      as: t.reviewer.token,
      headers: { 'idempotency-key': 'ours' },
    })
    const mine = await t.call('POST', '/api/v1/auth/sessions/revoke-others', {
      as: t.admin.token,
      headers: { 'idempotency-key': 'ours' },
    })
    for (const reply of [theirs, mine]) assert.equal(reply.headers['idempotency-replayed'], undefined)
    const call = { organizationId: t.organizationId, callerId: newId(), path: '/' }
    const idempotency = { key: 'mine', hash: Buffer.alloc(32), isOf: () => true }
    const { begin, end } = t.app.identity.keptReplies
    const begun = await begin(call, idempotency)
    assert.ok('claim' in begun)
    await end(begun.claim, { status: 204, type: null, body: null })
    assert.ok('reply' in (await begin(call, idempotency)))
    t.clock.advance(86_400_000)
    assert.ok('claim' in (await begin(call, idempotency)))
    t.clock.advance(-86_400_000)
  })

  test('has its reply kept sealed, and forgotten with the next erasure', async () => {
    const id = await agent()
    const reason = newId()
    const paused = await t.call('POST', `/api/v1/agents/${id}/pause`, {
      as: t.admin.token,
      body: { reason },
      headers: { 'idempotency-key': newId() },
    })
    assert.ok(paused.text.includes(reason))
    const [rows] = await t.sql(
      `select count(*)::int as rows, string_agg(encode(reply, 'escape'), ' ') as text from kept_replies`,
    )
    assert.ok(Number(rows?.rows) > 0 && !String(rows?.text).includes(reason))
    await t.app.audit.drain()
    const erased = await t.call('POST', '/api/v1/events/erasures', {
      as: t.admin.token,
      body: { user_id: t.reviewer.id, reason: 'a test' },
    })
    assert.equal(erased.status, 200, erased.text)
    assert.deepEqual(await kept(), [])
  })

  test('of one caller keeps a bounded number of bytes: the oldest go', async () => {
    const call = { organizationId: t.organizationId, callerId: newId(), path: '/' }
    const { begin, end } = t.app.identity.keptReplies
    const idempotency = (key: string) => ({ key, hash: Buffer.alloc(32), isOf: () => true })
    const body = 'x'.repeat(mostOfCaller.bytes / 4)
    for (const key of ['1', '2', '3', '4', '5']) {
      t.clock.advance(1)
      const begun = await begin(call, idempotency(key))
      assert.ok('claim' in begun)
      await end(begun.claim, { status: 200, type: null, body })
    }
    const left = await t.sql('select key from kept_replies where caller_id = $1 order by key', [call.callerId])
    assert.deepEqual(
      left.map(({ key }) => key),
      ['3', '4', '5'],
    )
  })
})
