import assert from 'node:assert/strict'
import { addedByPeople } from '../../src/attachments/store.ts'
import { noticesAfter } from '../../src/consultations/notice-store.ts'
import { queues } from '../../src/consultations/queues.ts'
import type { Delivery } from '../../src/deliveries/delivery.ts'
import { moveLeases } from '../../src/deliveries/store.ts'
import { usersOfAccount } from '../../src/identity/accounts/store.ts'
import { newId } from '../../src/platform/ids.ts'
import * as credentials from '../authorization/credentials.ts'
import { allowed, type Caller } from '../authorization/expectations.ts'
import { operationsOf } from '../authorization/operations.ts'
import { replyOnOwn } from '../authorization/own-reply.ts'
import { ownRefusals } from '../authorization/own-things.ts'
import { addTenant } from '../authorization/tenant.ts'
import { type Day, scenes } from '../canary/scenes.ts'
import type { Reply } from '../harness.ts'
import { startReceiver } from '../receivers.ts'

/** Operations that pause or end the whole organization: each gets one of its own. */
const ofItsOwn = new Set([
  'changeOrganization',
  'pauseOrganization',
  'resumeOrganization',
  'stopOrganization',
  'transferOrganization',
  'deleteOrganization',
  'restoreOrganization',
])

const everyCaller = (may: readonly Caller[]): readonly Caller[] =>
  (['owner', 'agent'] as const).filter((caller) => may.includes(caller))

/** Each operation once. */
export const oneCaller = (may: readonly Caller[]): readonly Caller[] => everyCaller(may).slice(0, 1)

function done(what: string, reply: Reply): Reply {
  assert.ok(reply.status < 400, `${what}: ${reply.status} ${reply.text}`)
  return reply
}

/**
 * Everything that the service does, once: requests with every outcome, people and keys from creation to deletion, each
 * operation of the API by an owner or an agent of this organization, and the work of the background loops.
 */
export async function live(day: Day, organizationId: string): Promise<void> {
  const { callbackSecrets, passwords, apiKeys, sessions, factors, singleSignOn, mail } = scenes
  for (const scene of [callbackSecrets, passwords, apiKeys, sessions, factors, singleSignOn, mail]) await scene?.(day)
  await operate(day, organizationId)
  await day.t.app.identity.signingKeys.rotate('certificate')
}

/** Each operation of the API, its lists with all their filters, and the work that this leaves for the background loops. */
export async function operate(day: Day, organizationId: string, callers = everyCaller): Promise<void> {
  await operations(day, organizationId, callers)
  await repeats(day)
  await revisions(day)
  await lists(day)
  await outage(day)
  await seldom(day)
  await deletion(day)
  await day.t.app.drain()
}

async function operations(
  { t, provider }: Day,
  organizationId: string,
  callers: (may: readonly Caller[]) => readonly Caller[],
): Promise<void> {
  const body = {
    name: 'Example accounts',
    client_id: newId(),
    scopes: ['email'],
    role_map: {},
    issuer: provider.issuer,
  }
  const host = await addTenant(t)
  for (const operation of operationsOf(t, { createIdentityProvider: body, createTeam: { name: newId() } })) {
    const may = allowed[operation.id]
    if (may === undefined || may === 'public') continue
    for (const caller of callers(may)) {
      const tenant = await addTenant(t, ofItsOwn.has(operation.id) ? newId() : organizationId)
      const scene = { t, tenant, caller, token: credentials.live(tenant, caller), host, issuer: provider.issuer }
      const reply = await replyOnOwn(operation, scene, (call, as, stepUp) => {
        const headers = stepUp === undefined ? {} : { 'x-step-up': stepUp }
        return t.call(call.method, call.path, { as, headers, ...(call.body === undefined ? {} : { body: call.body }) })
      })
      const where = `${operation.id} by ${caller}`
      if (reply.status !== ownRefusals[where]?.[0]) done(where, reply)
    }
  }
}

/** A receiver that fails until its breaker opens, and is back. */
async function outage({ t }: Day): Promise<void> {
  const receiver = await startReceiver({ behaviour: { status: 500 } })
  for (let n = 0; n < 15; n += 1) {
    const { id } = await t.createRequest({ callback_webhook: receiver.url })
    const answer = { as: t.reviewer.token, body: { decision: 'approve' } }
    done('respond', await t.call('POST', `/api/v1/requests/${id}/respond`, answer))
  }
  for (const status of [500, 200]) {
    receiver.behave({ status })
    t.clock.advance(60_000)
    await t.app.drain()
  }
  await receiver.close()
}

/** What only happens with two processes or after a crash. */
async function seldom({ t }: Day): Promise<void> {
  const lease = { organizationId: t.organizationId, id: newId(), leaseToken: newId() } as Delivery
  await moveLeases(t.app.db.within({ worker: true }), [lease], t.clock.now())
  const rows = t.app.db.within({ organizationId: t.organizationId })
  const [since, nobody] = [new Date(t.clock.now().getTime() - 1_000), '00000000-0000-0000-0000-000000000000']
  await noticesAfter(rows, t.organizationId, { at: since, id: nobody }, t.clock.now(), 3)
  await addedByPeople(rows, t.organizationId, [newId()], false)
  await usersOfAccount(t.app.db.within({ accountId: t.admin.id }), t.admin.id)
}

/** A request that was sent back for changes, was revised and is used. */
async function revisions({ t, receiver }: Day): Promise<void> {
  const headers = { 'idempotency-key': newId() }
  const body = { title: 'x', context: {}, callback_webhook: receiver.url }
  const ask = () => t.call('POST', '/api/v1/requests', { as: t.apiKey, body, headers })
  const { id, digest } = done('ask', await ask()).body
  const call = (act: string, as: string, sent: object) =>
    t.call('POST', `/api/v1/requests/${id}/${act}`, { as, body: sent })
  done('send back', await call('respond', t.reviewer.token, { decision: 'request_changes' }))
  done('revise', await call('revisions', t.apiKey, { title: 'y', context: {} }))
  assert.equal(done('ask again', await ask()).body.revision, 1)
  for (const as of [t.apiKey, t.admin.token])
    done('revisions', await t.call('GET', `/api/v1/requests/${id}/revisions?limit=1`, { as }))
  assert.equal((await call('redeem', t.apiKey, { digest })).body.code, 'consultation.revision_superseded')
}

/** Repeated calls, and calls of a paused agent. */
async function repeats({ t }: Day): Promise<void> {
  const as = t.admin.token
  const headers = { 'idempotency-key': newId() }
  const batch = () =>
    t.call('POST', '/api/v1/requests/batch', {
      as: t.apiKey,
      body: { requests: [{ title: 'x', context: {} }] },
      headers,
    })
  assert.equal(done('many', await batch()).text, done('many again', await batch()).text)
  const register = () => t.call('POST', '/api/v1/agents', { as, body: { name: 'again' }, headers })
  const { id } = done('register', await register()).body
  assert.equal(done('register again', await register()).body.id, id)
  const { key } = done(
    'a key',
    await t.call('POST', '/api/v1/api-keys', { as, body: { name: 'x', agent_id: id } }),
  ).body
  const pause = (of: string) =>
    t.call('POST', `/api/v1/agents/${of}/pause`, { as, body: { reason: 'a test' }, headers })
  done('pause', await pause(id))
  assert.equal(done('pause again', await pause(id)).headers['idempotency-replayed'], 'true')
  assert.equal((await pause(newId())).status, 404)
  const refused = await t.call('POST', '/api/v1/requests', { as: key, body: { title: 'May I?', context: {} } })
  assert.equal(refused.body.code, 'agent.paused')
  const form = { type: 'object', properties: { a: { type: 'string' } } }
  const { id: filledIn } = await t.createRequest({ answer: { form } })
  const answer = { decision: 'approve', data: { a: 'x' } }
  const path = `/api/v1/requests/${filledIn}/respond`
  done('fill in', await t.call('POST', path, { as: t.reviewer.token, body: answer }))
  await t.app.audit.drain()
  const erasure = { user_id: t.reviewer.id, reason: 'a test' }
  done('erase', await t.call('POST', '/api/v1/events/erasures', { as, body: erasure }))
  const asked = await t.createRequest()
  done('cancel', await t.call('POST', `/api/v1/requests/${asked.id}/cancel`, { as: t.apiKey }))
  const whole = { request_id: asked.id, reason: 'a test' }
  done('erase a request', await t.call('POST', '/api/v1/events/erasures', { as, body: whole }))
  done('evidence of erased events', await t.call('GET', `/api/v1/requests/${asked.id}/evidence`, { as }))
}

/** The first page and the next one for each combination of filters. */
async function lists({ t }: Day): Promise<void> {
  const since = encodeURIComponent(t.clock.now().toISOString())
  const { id } = await t.createRequest()
  const until = new Date(t.clock.now().getTime() + 3_600_000)
  done('put aside', await t.call('POST', `/api/v1/requests/${id}/snooze`, { as: t.admin.token, body: { until } }))
  const pages = async (path: string, as: string): Promise<void> => {
    const { next_cursor: cursor } = done(path, await t.call('GET', path, { as })).body
    if (cursor !== null) done(path, await t.call('GET', `${path}&cursor=${encodeURIComponent(cursor)}`, { as }))
  }
  for (let n = 0; n < 3; n += 1) await t.createRequest()
  for (const as of [t.admin.token, t.apiKey]) {
    for (const one of [
      'priority=urgent',
      'priority=low,high&state=pending',
      'risk=high',
      'risk=critical&state=pending',
      'run_id=x',
    ])
      for (const sort of ['', '&sort=oldest']) await pages(`/api/v1/requests?limit=2&${one}${sort}`, as)
    for (const queue of as === t.apiKey ? [] : queues)
      for (const more of ['', '&sort=oldest', '&sort=priority', '&risk=high', '&tag=x', `&updated_after=${since}`])
        await pages(`/api/v1/requests?limit=2&queue=${queue}${more}`, as)
    for (const queue of as === t.apiKey ? [] : queues.filter((one) => one !== 'done'))
      await pages(`/api/v1/requests?limit=2&queue=${queue}&sort=due`, as)
    for (const sort of ['&sort=oldest', '&sort=oldest&state=pending', '&sort=due'])
      await pages(`/api/v1/requests?limit=2${sort}`, as)
    for (const more of ['', '&sort=newest', '&state=pending&risk=high'])
      await pages(`/api/v1/requests?limit=2&q=${encodeURIComponent('may* -nothing')}${more}`, as)
    for (const filter of ['', '&state=pending', '&state=responded', '&state=callback_sent']) {
      for (const changed of ['', `&updated_after=${since}`])
        await pages(`/api/v1/requests?limit=2${filter}${changed}`, as)
    }
  }
  const filters = ['', `&request_id=${id}`, '&kind=request.created', '&actor_kind=agent', `&actor_id=${t.reviewer.id}`]
  for (const filter of filters) {
    for (const window of ['', '&since=2020-01-01T00:00:00Z', '&until=2100-01-01T00:00:00Z']) {
      await pages(`/api/v1/events?limit=1${filter}${window}`, t.admin.token)
    }
  }
  for (const filter of ['', '&status=failed', '&status=sent', `&since=${since}`, '&target=https://agent.example.com'])
    await pages(`/api/v1/callbacks?limit=1${filter}`, t.admin.token)
  await pages(`/api/v1/requests/${id}/events?limit=1`, t.admin.token)
  done('export', await t.call('GET', '/api/v1/events/export?format=csv', { as: t.admin.token }))
  done('report', await t.call('GET', '/api/v1/events/report?since=2026-01-01T00:00:00Z', { as: t.admin.token }))
  done('evidence', await t.call('GET', `/api/v1/requests/${id}/evidence`, { as: t.admin.token }))
}

/** An organization whose grace period is over. */
async function deletion({ t }: Day): Promise<void> {
  const { organizationId } = await addTenant(t)
  await t.sql('update organizations set delete_after = $2 where organization_id = $1', [organizationId, t.clock.now()])
  t.clock.advance(1)
  await t.app.drain()
}
