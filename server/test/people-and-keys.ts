import { createAccessTokens } from '../src/identity/access-token.ts'
import { hashApiKey, mintApiKey } from '../src/identity/api-keys/api-key.ts'
import { newId } from '../src/platform/ids.ts'
import { openTestSession, secretKey, type TestApp } from './harness.ts'

export interface TestPerson {
  readonly organizationId: string
  readonly id: string
  readonly token: string
}

/** A person who cannot sign in with a password; the token is good for 30 minutes of the fake clock. */
export async function addPerson(t: TestApp, organizationId = t.organizationId, role = 'reviewer'): Promise<TestPerson> {
  const id = newId()
  await t.sql(
    `with account as (
       insert into accounts (id, email, email_key, password_hash, created_at, updated_at)
       values ($2, $3, $3, 'none', now(), now()))
     insert into users (organization_id, id, account_id, email, email_key, role, created_at, updated_at)
     values ($1, $2, $2, $3, $3, $4, now(), now())`,
    [organizationId, id, `${id}@example.com`, role],
  )
  const sessionId = await openTestSession(t.sql, organizationId, id)
  const { token } = await createAccessTokens(secretKey, 30).sign(
    { organizationId, userId: id, sessionId },
    t.clock.now(),
  )
  return { organizationId, id, token }
}

/** A key of an agent of its own. */
export interface TestKey {
  readonly organizationId: string
  readonly id: string
  readonly agentId: string
  readonly raw: string
}

export async function addApiKey(t: TestApp, organizationId = t.organizationId): Promise<TestKey> {
  const id = newId()
  const agentId = newId()
  const raw = mintApiKey(id)
  await t.sql(
    `with agent as (
       insert into agents (organization_id, id, name, created_at, updated_at) values ($1, $4, 'agent', now(), now()))
     insert into api_keys (organization_id, id, agent_id, name, key_hash, expires_at, created_at, updated_at)
     values ($1, $2, $4, 'agent', $3, now() + interval '1 year', now(), now())`,
    [organizationId, id, hashApiKey(raw), agentId],
  )
  return { organizationId, id, agentId, raw }
}

export interface TestOrganization {
  readonly organizationId: string
  readonly reviewer: TestPerson
  readonly admin: TestPerson
  readonly apiKey: TestKey
}

/** An organization beside the one of the sample data. */
export async function addOrganization(t: TestApp): Promise<TestOrganization> {
  const organizationId = newId()
  await t.sql(`insert into organizations (organization_id, name) values ($1, 'Another')`, [organizationId])
  return {
    organizationId,
    reviewer: await addPerson(t, organizationId),
    admin: await addPerson(t, organizationId, 'admin'),
    apiKey: await addApiKey(t, organizationId),
  }
}
