import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { sensitiveActs } from '../../src/identity/sensitive-acts.ts'
import { newId } from '../../src/platform/ids.ts'
import { allowed } from '../authorization/expectations.ts'
import { type Operation, operationsOf } from '../authorization/operations.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { resolvedDocument } from '../http/resolved-document.ts'
import { addOrganization, addPerson } from '../people-and-keys.ts'
import { recordedEvents } from '../recorded-events.ts'

/**
 * The calls for which a session that was opened long ago is not enough, written independently of the service's own table, so that
 * an error would have to be in both. Null: whatever the body.
 */
const sensitive: Readonly<Record<string, readonly unknown[] | null>> = {
  changeAuditPolicy: [{ legal_hold: false }, { retention_days: 200 }, { retention_days: 200, legal_hold: true }],
  eraseFromAudit: null,
  invite: null,
  // Only with an approval at critical risk: the rule asks for it (questions.test.ts).
  respond: [],
  resumeAgent: null,
  resumeOrganization: null,
  changeOrganization: null,
  transferOrganization: null,
  deleteOrganization: null,
  changeUser: null,
  // Only of people without a password (open-flows.test.ts).
  changeEmail: [],
  makeRecoveryCodes: null,
  beginAuthenticatorApp: null,
  removeAuthenticatorApp: null,
  beginPasskey: null,
  removePasskey: null,
  linkSso: null,
  unlinkSso: null,
  createIdentityProvider: null,
  changeIdentityProvider: null,
  deleteIdentityProvider: null,
  createApiKey: null,
  rotateApiKey: null,
  changeApiKey: [
    { is_active: true },
    { scopes: ['requests:read'] },
    { allowed_networks: [] },
    { expires_at: '2100-01-01T00:00:00Z' },
  ],
}

/** What the same operations do without one. */
const harmless: Readonly<Record<string, readonly unknown[]>> = {
  changeAuditPolicy: [{ legal_hold: true }, { retention_days: null }],
  changeApiKey: [{ is_active: false }, { name: 'renamed' }],
}

describe('every operation that changes something', () => {
  let t: TestApp
  let operations: readonly Operation[]
  let owner: string
  before(async () => {
    t = await startTestApp()
    operations = operationsOf(t, {}).filter(({ method }) => method !== 'GET')
    const { organizationId } = await addOrganization(t)
    const person = await addPerson(t, organizationId, 'owner')
    await t.sql(`update sessions set signed_in_at = now() - interval '1 day' where user_id = $1`, [person.id])
    owner = person.token
  })
  after(() => t.stop())

  const reason = (id: string, body: unknown): unknown =>
    id === 'changeAuditPolicy' ? { ...(body as object), reason: 'a case' } : body
  const send = async (operation: Operation, body: unknown) => {
    const path = operation.path.replaceAll(/\{\w+\}/g, newId)
    const sent = reason(operation.id, body)
    return t.call(operation.method, path, { as: owner, ...(sent === undefined ? {} : { body: sent }) })
  }

  test('is in the table of sensitive acts, one way or the other, and nothing else is', () => {
    const listed = Object.keys(sensitiveActs)
    assert.deepEqual(operations.map(({ id }) => id).sort(), listed.toSorted())
    assert.deepEqual(listed.filter((id) => sensitiveActs[id] !== 'never').sort(), Object.keys(sensitive).sort())
  })

  test('403 auth.step_up_required with an old session for the sensitive ones, which say so in the document', async () => {
    for (const operation of operations.filter(({ id }) => id in sensitive)) {
      for (const body of sensitive[operation.id] ?? [operation.body]) {
        const reply = await send(operation, body)
        const where = `${operation.id} ${JSON.stringify(body)}: ${reply.text}`
        assert.deepEqual([reply.status, reply.body?.code], [403, 'auth.step_up_required'], where)
      }
      const { paths } = resolvedDocument(t) as { paths: Record<string, Record<string, object>> }
      const documented = JSON.stringify(paths[operation.path]?.[operation.method.toLowerCase()])
      assert.match(documented, /step_up_required.*"x-step-up"|"x-step-up".*step_up_required/, operation.id)
    }
  })

  test('no other one asks for a step-up', async () => {
    const people = operations.filter(
      ({ id }) => allowed[id] !== 'public' && (allowed[id] as string[]).includes('owner'),
    )
    for (const operation of people) {
      const bodies = operation.id in sensitive ? (harmless[operation.id] ?? []) : [operation.body]
      for (const body of bodies) {
        // These end the session or the organization.
        if (['logout', 'switchOrganization'].includes(operation.id)) continue
        const reply = await send(operation, body)
        assert.notEqual(reply.body?.code, 'auth.step_up_required', `${operation.id} ${JSON.stringify(body)}`)
        assert.notEqual(reply.status, 401, `${operation.id} ${reply.text}`)
      }
    }
  })

  test('the event of each newly sensitive act names the step-up and its digest', async () => {
    const { organizationId } = await addOrganization(t)
    const { token: as } = await addPerson(t, organizationId, 'owner')
    const kinds = [
      'audit.policy_changed',
      'audit.erased',
      'invitation.created',
      'agent.resumed',
      'organization.resumed',
    ]
    const did = async (path: string, body: object, method = 'POST') => {
      const reply = await t.call(method, `/api/v1${path}`, { as, body })
      assert.ok(reply.status < 300, `${path}: ${reply.text}`)
      return reply.body
    }
    await did('/events/policy', { retention_days: 400, reason: 'a case' }, 'PATCH')
    const invited = await did('/invitations', { email: 'erased@example.com' })
    const { id } = await did('/agents', { name: 'an agent' })
    await did(`/agents/${id}/pause`, { reason: 'a test' })
    await did(`/agents/${id}/resume`, {})
    await did('/organization/pause', { reason: 'a test' })
    await did('/organization/resume', {})
    await t.app.drain()
    assert.ok((await did('/events/erasures', { invitation_id: invited.id, reason: 'a case' })).erased > 0)
    const events = await recordedEvents(t.sql, { organization: organizationId })
    for (const kind of kinds) {
      const event = events.find((one) => one.kind === kind)
      assert.equal(event?.after.assurance.method, 'sign_in', kind)
      assert.match(String(event?.digest), /^[0-9a-f]{64}$/, kind)
    }
  })
})
