import { createAccessTokens } from '../../src/identity/access-token.ts'
import { newId } from '../../src/platform/ids.ts'
import { addApiKey, addPerson, type TestKey, type TestPerson } from '../consultations/people-and-keys.ts'
import { openTestSession, secretKey, type TestApp } from '../harness.ts'
import type { Caller } from './expectations.ts'

/** An organization with one of everything that an id in a path or body can name. */
export interface Tenant {
  readonly organizationId: string
  readonly people: Readonly<Record<Exclude<Caller, 'agent'>, TestPerson>>
  /** Somebody to act upon. */
  readonly colleague: TestPerson
  readonly key: TestKey
  /** What every free text of this organization holds. */
  readonly mark: string
  /** By the name of the parameter, or the path's collection. */
  readonly ids: Readonly<Record<string, string>>
}

export async function addTenant(t: TestApp): Promise<Tenant> {
  const organizationId = newId()
  const mark = `mark-${organizationId.slice(-12)}`
  await t.sql('insert into organizations (organization_id, name) values ($1, $2)', [organizationId, mark])
  const person = (role: string) => addPerson(t, organizationId, role)
  const people = {
    owner: await person('owner'),
    admin: await person('admin'),
    reviewer: await person('reviewer'),
    auditor: await person('auditor'),
  }
  const colleague = await person('reviewer')
  await t.sql('update users set name = $2 where organization_id = $1', [organizationId, mark])
  const key = await addApiKey(t, organizationId)
  const made = await t.call('POST', '/api/v1/requests', { as: key.raw, body: { title: mark, context: { mark } } })
  const ids = {
    requests: made.body.id as string,
    users: colleague.id,
    user_id: colleague.id,
    session_id: await openTestSession(t.sql, organizationId, colleague.id),
    'api-keys': key.id,
    agents: key.agentId,
    agent_id: key.agentId,
    teams: newId(),
    invitations: newId(),
    'identity-providers': newId(),
    sso: newId(),
    identities: newId(),
    totp: newId(),
    passkeys: newId(),
    organization_id: organizationId,
    request_id: made.body.id as string,
  }
  await t.sql(
    `insert into teams (organization_id, id, name, created_at, updated_at) values ($1, $2, $3, now(), now())`,
    [organizationId, ids.teams, mark],
  )
  await t.sql(`insert into team_members (organization_id, team_id, user_id, created_at) values ($1, $2, $3, now())`, [
    organizationId,
    ids.teams,
    colleague.id,
  ])
  await t.sql(
    `insert into invitations (organization_id, id, token_hash, email, role, expires_at, created_at, updated_at)
     values ($1, $2, sha256($3), $4, 'reviewer', '2900-01-01', now(), now())`,
    [organizationId, ids.invitations, Buffer.from(mark), `${mark}@example.com`],
  )
  for (const [id, client] of [
    [ids['identity-providers'], mark],
    [ids.sso, `${mark}-2`],
  ]) {
    await t.sql(
      `insert into identity_providers (organization_id, id, name, issuer, client_id, scopes, role_map, team_map,
         creates_members, email_domains, is_enforced, is_active, created_at, updated_at)
       values ($1, $2, $3, 'https://127.0.0.1:9', $4, '{openid}', '{}', '{}', false, '{}', false, true, now(), now())`,
      [organizationId, id, mark, client],
    )
  }
  await t.sql(
    `insert into sso_identities (organization_id, id, issuer, subject, user_id, created_at)
     values ($1, $2, 'https://127.0.0.1:9', $3, $4, now())`,
    [organizationId, ids.identities, mark, colleague.id],
  )
  return { organizationId, people, colleague, key, mark, ids }
}

export type CredentialState = 'live' | 'expired' | 'revoked' | 'paused'

/** The caller's credential, brought into this state. */
export async function credential(t: TestApp, tenant: Tenant, caller: Caller, state: CredentialState): Promise<string> {
  const { organizationId } = tenant
  if (caller === 'agent') {
    if (state === 'live') return tenant.key.raw
    const key = await addApiKey(t, organizationId)
    if (state === 'expired') await t.sql(`update api_keys set expires_at = $2 where id = $1`, [key.id, t.clock.now()])
    if (state === 'revoked')
      await t.sql(`update api_keys set is_active = false, revoked_at = now() where id = $1`, [key.id])
    if (state === 'paused') {
      await t.sql(
        `update agents set status = 'stopped', paused_at = now() where id = (select agent_id from api_keys where id = $1)`,
        [key.id],
      )
    }
    return key.raw
  }
  if (state === 'live') return tenant.people[caller].token
  // An organization has one owner only, who must stay there for the live cells.
  if (caller === 'owner' && state === 'paused') {
    const { people } = await addTenant(t)
    await t.sql('update users set is_active = false where id = $1', [people.owner.id])
    return people.owner.token
  }
  const { id } = caller === 'owner' ? tenant.people.owner : await addPerson(t, organizationId, caller)
  const sessionId = await openTestSession(t.sql, organizationId, id)
  const issuedAt = state === 'expired' ? new Date(t.clock.now().getTime() - 31 * 60_000) : t.clock.now()
  const { token } = await createAccessTokens(secretKey, 30).sign({ organizationId, userId: id, sessionId }, issuedAt)
  if (state === 'revoked') await t.sql('update sessions set revoked_at = now() where id = $1', [sessionId])
  if (state === 'paused') await t.sql('update users set is_active = false where id = $1', [id])
  return token
}
