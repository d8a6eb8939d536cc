import { createAccessTokens } from '../../src/identity/access-token.ts'
import { mintApiKey } from '../../src/identity/api-keys/api-key.ts'
import { newId } from '../../src/platform/ids.ts'
import { openTestSession, secretKey, type TestApp } from '../harness.ts'
import { addApiKey, addPerson, type TestPerson } from '../people-and-keys.ts'
import type { Caller } from './expectations.ts'
import { addTenant, type Tenant } from './tenant.ts'

/** Status and code of a refusal. */
export type Refusal = readonly [status: number, code: string]

const nobody: Refusal = [401, 'auth.invalid']

/** The refusal that every call gets in each state of a person's or an agent's credential. */
export const dead = {
  person: { expired: nobody, revoked: nobody, deactivated: nobody },
  agent: {
    expired: [401, 'auth.key_expired'],
    revoked: nobody,
    stopped: [403, 'agent.stopped'],
    'organization stopped': [403, 'organization.stopped'],
  },
} as const satisfies Record<string, Readonly<Record<string, Refusal>>>

/** Paused: the agent cannot create requests. */
export const pauses = { paused: [403, 'agent.paused'], 'organization paused': [403, 'organization.paused'] } as const

export type PersonState = keyof typeof dead.person
export type AgentState = keyof typeof dead.agent | keyof typeof pauses

export const live = (tenant: Tenant, caller: Caller): string =>
  caller === 'agent' ? tenant.key.raw : tenant.people[caller].token

/** The access token of a person with this role, put into this state. */
export async function personIn(
  t: TestApp,
  tenant: Tenant,
  role: Exclude<Caller, 'agent'>,
  state: PersonState,
): Promise<string> {
  // An organization has only one owner, who is still needed for the cells that succeed.
  const { organizationId, people } = role === 'owner' && state === 'deactivated' ? await addTenant(t) : tenant
  const { id } = role === 'owner' ? people.owner : await addPerson(t, organizationId, role)
  const sessionId = await openTestSession(t.sql, organizationId, id)
  const issuedAt = state === 'expired' ? new Date(t.clock.now().getTime() - 31 * 60_000) : t.clock.now()
  const { token } = await createAccessTokens(secretKey, 30).sign({ organizationId, userId: id, sessionId }, issuedAt)
  if (state === 'revoked') await t.sql('update sessions set revoked_at = now() where id = $1', [sessionId])
  if (state === 'deactivated') await t.sql('update users set is_active = false where id = $1', [id])
  return token
}

/** A key of a new agent, put into this state. */
export async function agentIn(t: TestApp, tenant: Tenant, state: AgentState): Promise<string> {
  const { organizationId } = state.startsWith('organization') ? await addTenant(t) : tenant
  const key = await addApiKey(t, organizationId)
  if (state === 'expired') await t.sql(`update api_keys set expires_at = $2 where id = $1`, [key.id, t.clock.now()])
  if (state === 'revoked') {
    await t.sql(`update api_keys set is_active = false, revoked_at = now() where id = $1`, [key.id])
  }
  await hold(t, key, state)
  return key.raw
}

/** Pauses or stops the agent or its organization if the state asks for it. */
export async function hold(
  t: TestApp,
  { organizationId, agentId, id }: { readonly organizationId: string; readonly agentId: string; readonly id: string },
  state: string,
): Promise<void> {
  const status = state.split(' ').at(-1)
  if (status !== 'paused' && status !== 'stopped') return
  if (state === status) {
    await t.sql(`update agents set status = $2, paused_at = now() where id = $1`, [agentId, status])
  } else {
    await t.sql(
      `with switched as (update organizations set agents_status = $2, agents_paused_at = now() where organization_id = $1)
       update agents set organization_status = $2 where organization_id = $1`,
      [organizationId, status],
    )
  }
  // Forget what is cached about the key.
  t.app.identity.authenticator.forget(id)
}

/** Callers without an organization, by what is missing. Each must be treated as a stranger. */
export async function withoutOrganization(t: TestApp, tenant: Tenant, other: Tenant): Promise<Map<string, string>> {
  const tokens = createAccessTokens(secretKey, 30)
  const sign = async (subject: { organizationId?: string; userId: string; sessionId?: string }): Promise<string> =>
    (await tokens.sign(subject as { organizationId: string; userId: string }, t.clock.now())).token
  const { organizationId } = tenant
  const { id: userId, token } = tenant.people.admin
  const sessionId = sessionOf(token)
  const left = await addPerson(t, organizationId, 'admin')
  await t.sql('update users set is_active = false where id = $1', [left.id])
  return new Map([
    ['an account whose only membership is deactivated', left.token],
    ['an account without any membership', await sign({ organizationId, userId: await accountAlone(t), sessionId })],
    ['a token of an organization that does not exist', await sign({ organizationId: newId(), userId, sessionId })],
    ['a token of an organization not its own', await sign({ organizationId: other.organizationId, userId, sessionId })],
    ['a token without an organization', await sign({ userId, sessionId })],
    ['a token without a session', await sign({ organizationId, userId })],
    ['a key that no organization has made', mintApiKey(newId())],
  ])
}

async function accountAlone(t: TestApp): Promise<string> {
  const id = newId()
  await t.sql(
    `insert into accounts (id, email, email_key, password_hash, created_at, updated_at)
     values ($1, $2, $2, 'none', now(), now())`,
    [id, `${id}@example.com`],
  )
  return id
}

/** The session that a token names. */
export function sessionOf(token: TestPerson['token']): string {
  const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { readonly sid: string }
  return claims.sid
}
