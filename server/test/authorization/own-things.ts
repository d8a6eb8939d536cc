import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { hashSync } from '@node-rs/bcrypt'
import { newId } from '../../src/platform/ids.ts'
import { putInto } from '../consultations/table-contents.ts'
import { openTestSession, type TestApp } from '../harness.ts'
import { createAuthenticator } from '../identity/factors/authenticator.ts'
import { codeAt } from '../identity/factors/authenticator-app.ts'
import type { TestPerson } from '../people-and-keys.ts'
import { type Caller, callers } from './expectations.ts'
import { formWith, type Ids } from './operations.ts'
import { addInvitation, addPersonalThings, type Tenant } from './tenant.ts'

/** The caller and their organization. What an operation acts on is created for this one caller. */
export interface Scene {
  readonly t: TestApp
  readonly tenant: Tenant
  readonly caller: Caller
  readonly token: string
  /** Another organization, which may invite the caller. */
  readonly host: Tenant
  /** A running identity provider. */
  readonly issuer: string
}

export interface OwnThings {
  readonly ids?: Ids
  readonly body?: unknown
}

export const site = { origin: 'https://hitl.example.com', rpId: 'hitl.example.com' }
const password = 'correct horse'
const passwordHash = hashSync(password, { cost: 4 })

/** What each operation needs to succeed, besides what every organization has. */
export const ownThings: Readonly<Record<string, (scene: Scene) => Promise<OwnThings>>> = {
  getCertificate: approved,
  redeem: approved,
  removeAttachment: async (scene) => ({ ids: { attachment_id: await ownFile(scene) } }),
  respond: async (scene) => ({ ids: { attachments: await ownFile(scene) } }),
  snooze: async ({ t }) => ({ body: { until: new Date(t.clock.now().getTime() + 3_600_000) } }),
  getDraft: async ({ t, tenant, token }) => {
    const path = `/api/v1/requests/${tenant.ids.requests}/draft`
    const saved = await t.call('PUT', path, { as: token, body: { revision: 1, answer: {} } })
    assert.equal(saved.status, 200, saved.text)
    return {}
  },
  changeView: personal,
  deleteView: personal,
  countView: personal,
  reportOutcome: async (scene) => {
    await approved(scene)
    return { body: { status: 'executed' } }
  },
  undo: async (scene) => {
    const { t, tenant, token } = scene
    const path = `/api/v1/requests/${tenant.ids.requests}/respond`
    const body = { decision: 'approve', hold_seconds: 60, attachments: [await ownFile(scene)] }
    const reply = await t.call('POST', path, { as: token, body })
    assert.equal(reply.status, 200, reply.text)
    return {}
  },
  eraseFromAudit: async (scene) => {
    await approved(scene)
    return {}
  },
  redeliver: async (scene) => {
    await approved(scene)
    await putInto(scene.t, scene.tenant.ids.requests ?? '', 'callback_failed', 'failed')
    return {}
  },
  acceptInvitation: async (scene) => {
    const { t, host } = scene
    const token = randomBytes(32).toString('base64url')
    const email = `${personOf(scene).id}@example.com`
    await addInvitation(t, { organizationId: host.organizationId, id: newId(), email, token })
    return { body: { token } }
  },
  deleteOrganization: async ({ tenant }) => ({ body: { name: tenant.mark } }),
  revokeSession: async (scene) => {
    const { organizationId, id } = personOf(scene)
    return { ids: { sessions: await openTestSession(scene.t.sql, organizationId, id) } }
  },
  makeRecoveryCodes: personal,
  confirmAuthenticatorApp: async ({ t, token }) => {
    const begun = await t.call('POST', '/api/v1/auth/factors/totp', { as: token })
    assert.equal(begun.status, 201, begun.text)
    return { ids: { begun_totp: begun.body.id }, body: { code: codeAt(begun.body.secret, t.clock.now()) } }
  },
  removeAuthenticatorApp: personal,
  addPasskey: async ({ t, token }) => {
    const options = await t.call('POST', '/api/v1/auth/factors/passkeys/options', { as: token })
    assert.equal(options.status, 200, options.text)
    return { body: { name: 'Work laptop', credential: createAuthenticator(site).create(options.body) } }
  },
  renamePasskey: personal,
  removePasskey: personal,
  stepUp: async (scene) => {
    await setPassword(scene)
    return { body: { digest: randomBytes(32).toString('hex'), method: 'password', password } }
  },
  changePassword: async (scene) => {
    await setPassword(scene)
    return { body: { current_password: password, new_password: 'a staple of batteries' } }
  },
  changeEmail: async (scene) => {
    await setPassword(scene)
    return { body: { email: `new-${personOf(scene).id}@example.com`, current_password: password } }
  },
  changeIdentityProvider: async ({ t, tenant }) => {
    await t.sql('update identity_providers set proven_at = now() where id = $1', [tenant.ids['identity-providers']])
    return {}
  },
  linkSso: async ({ t, tenant, issuer }) => {
    await t.sql('update identity_providers set issuer = $2 where id = $1', [tenant.ids.sso, issuer])
    return {}
  },
  unlinkSso: personal,
}

/** Operations that refuse these callers, as documented, although they have the right. */
export const ownRefusals: Readonly<Record<string, readonly [status: number, code: string]>> = {
  'transferOrganization by admin': [403, 'organization.not_owner'],
  ...Object.fromEntries(
    callers.map((caller) => [`connectInbox by ${caller}`, [426, 'request.not_a_web_socket']] as const),
  ),
}

function personOf({ tenant, caller }: Scene): TestPerson {
  assert.ok(caller !== 'agent')
  return tenant.people[caller]
}

async function approved({ t, tenant }: Scene): Promise<OwnThings> {
  const path = `/api/v1/requests/${tenant.ids.requests}/respond`
  const reply = await t.call('POST', path, { as: tenant.people.owner.token, body: { decision: 'approve' } })
  assert.equal(reply.status, 200, reply.text)
  return { body: { digest: reply.body.digest } }
}

async function personal(scene: Scene): Promise<OwnThings> {
  return { ids: await addPersonalThings(scene.t, personOf(scene), scene.tenant.mark) }
}

async function setPassword(scene: Scene): Promise<void> {
  await scene.t.sql('update accounts set password_hash = $2 where id = $1', [personOf(scene).id, passwordHash])
}

/** A file that the caller has added to their organization's request. */
async function ownFile({ t, tenant, token }: Scene): Promise<string> {
  const path = `/api/v1/requests/${tenant.ids.requests}/attachments`
  const added = await t.call('POST', path, { as: token, body: formWith() })
  assert.equal(added.status, 201, added.text)
  return added.body.id
}
