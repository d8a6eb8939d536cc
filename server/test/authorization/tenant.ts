import { hashSecretToken } from '../../src/identity/secret-token.ts'
import { newId } from '../../src/platform/ids.ts'
import { openTestSession, type TestApp } from '../harness.ts'
import { addApiKey, addPerson, type TestKey, type TestPerson } from '../people-and-keys.ts'
import type { Caller } from './expectations.ts'
import { formWith, type Ids } from './operations.ts'

/** An organization with one of everything that an id in a path, a query or a body can name. */
export interface Tenant {
  readonly organizationId: string
  /** The reviewer leads the team. */
  readonly people: Readonly<Record<Exclude<Caller, 'agent'>, TestPerson>>
  /** A member that operations can act on. */
  readonly colleague: TestPerson
  readonly key: TestKey
  /** A word in every free text of this organization. */
  readonly mark: string
  /** Personal things belong to the colleague. */
  readonly ids: Ids
}

/** Adds them to an existing organization. */
export async function addTenant(t: TestApp, organizationId = newId()): Promise<Tenant> {
  const mark = `mark-${newId().slice(-12)}`
  await t.sql(
    `insert into organizations (organization_id, name) values ($1, $2)
     on conflict (organization_id) do update set name = excluded.name`,
    [organizationId, mark],
  )
  await t.sql(`update users set role = 'admin' where organization_id = $1 and role = 'owner'`, [organizationId])
  const person = (role: string) => addPerson(t, organizationId, role)
  const people = {
    owner: await person('owner'),
    admin: await person('admin'),
    reviewer: await person('reviewer'),
    auditor: await person('auditor'),
  }
  const colleague = await person('reviewer')
  const everybody = [...Object.values(people), colleague].map(({ id }) => id)
  await t.sql('update users set name = $3 where organization_id = $1 and id = any ($2)', [
    organizationId,
    everybody,
    mark,
  ])
  const key = await addApiKey(t, organizationId)
  const asked = { title: mark, context: { mark }, answer: { attachments: {} } }
  const made = await t.call('POST', '/api/v1/requests', { as: key.raw, body: asked })
  const requestId = made.body.id as string
  const file = formWith(mark, { name: `${mark}.txt` })
  const attached = await t.call('POST', `/api/v1/requests/${requestId}/attachments`, { as: key.raw, body: file })
  const sessionId = await openTestSession(t.sql, organizationId, colleague.id)
  const [teamId, invitationId] = [newId(), newId()]
  const personal = await addPersonalThings(t, colleague, mark)
  const ids = {
    ...personal,
    requests: requestId,
    request_id: requestId,
    subject_id: requestId,
    attachment_id: attached.body.id as string,
    attachments: attached.body.id as string,
    users: colleague.id,
    user_id: colleague.id,
    owner_id: colleague.id,
    sessions: sessionId,
    session_id: sessionId,
    'api-keys': key.id,
    agents: key.agentId,
    agent_id: key.agentId,
    agent: key.agentId,
    actor_id: key.agentId,
    responded_by: colleague.id,
    teams: teamId,
    team_map: teamId,
    invitations: invitationId,
    invitation_id: invitationId,
    'identity-providers': newId(),
    sso: newId(),
    organization_id: organizationId,
  }
  await addTeam(t, { organizationId, teamId, mark, members: [colleague.id], leads: [people.reviewer.id] })
  await addInvitation(t, { organizationId, id: ids.invitations, email: `${mark}@example.com`, token: mark })
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
  return { organizationId, people, colleague, key, mark, ids }
}

interface TeamRow {
  readonly organizationId: string
  readonly teamId: string
  readonly mark: string
  readonly members: readonly string[]
  readonly leads: readonly string[]
}

function addTeam(t: TestApp, { organizationId, teamId, mark, members, leads }: TeamRow): Promise<unknown> {
  return t.sql(
    `with team as (
       insert into teams (organization_id, id, name, created_at, updated_at) values ($1, $2, $3, now(), now()))
     insert into team_members (organization_id, team_id, user_id, is_lead, created_at)
     select $1, $2, id, id = any ($5::uuid[]), now() from unnest($4::uuid[] || $5::uuid[]) id`,
    [organizationId, teamId, mark, members, leads],
  )
}

/** An invitation to this organization for the address. */
export async function addInvitation(
  t: TestApp,
  {
    organizationId,
    id,
    email,
    token,
  }: { readonly organizationId: string; readonly id: string; readonly email: string; readonly token: string },
): Promise<void> {
  await t.sql(
    `insert into invitations (organization_id, id, token_hash, email, role, expires_at, created_at, updated_at)
     values ($1, $2, $3, $4, 'reviewer', '2900-01-01', now(), now())`,
    [organizationId, id, hashSecretToken(token), email],
  )
}

/** Things that only this person can reach, not even administrators: second factors, a linked identity and a saved view. */
export async function addPersonalThings(t: TestApp, { organizationId, id }: TestPerson, mark: string) {
  const things = { totp: newId(), begun_totp: newId(), passkeys: newId(), identities: newId(), views: newId() }
  await t.sql(
    `insert into totp_factors (account_id, id, seed, confirmed_at, expires_at, step_up_id, step_up_method, created_at, updated_at)
     values ($1, $2, sha256($4), now(), null, $3, 'sign_in', now(), now()),
       ($1, $3, sha256($4), null, '2900-01-01', $3, 'sign_in', now(), now())`,
    [id, things.totp, things.begun_totp, Buffer.from(id)],
  )
  await t.sql(
    `insert into passkeys (account_id, id, credential_id, public_key, sign_count, transports, name, is_backed_up, created_at, updated_at)
     values ($1, $2, $3, $3, 0, '{}', $4, false, now(), now())`,
    [id, things.passkeys, Buffer.from(things.passkeys), mark],
  )
  await t.sql(
    `insert into sso_identities (organization_id, id, issuer, subject, user_id, created_at)
     values ($1, $2, 'https://127.0.0.1:9', $3, $4, now())`,
    [organizationId, things.identities, `${mark} ${id}`, id],
  )
  await t.sql(
    `insert into saved_views (organization_id, id, user_id, name, query, created_at, updated_at)
     values ($1, $2, $3, $4, '', now(), now())`,
    [organizationId, things.views, id, mark],
  )
  return things
}
