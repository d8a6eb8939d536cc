import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { createAccessTokens } from '../../../src/identity/access-token.ts'
import { openTestSession, secretKey, type TestApp } from '../../harness.ts'
import type { TakenLetter } from '../../platform/mail-relay.ts'

export interface TestPerson {
  readonly email: string
  readonly password: string
  readonly userId: string
  readonly accountId: string
  /** The access token of an open session. */
  readonly token: string
}

const password = 'correct horse'

// The same for all, because hashing takes a quarter of a second.
const hashes = new WeakMap<TestApp, Promise<string>>()

/** The hash of the password, as the service itself makes it for one invited person. */
async function passwordHash(t: TestApp): Promise<string> {
  const made = hashes.get(t) ?? register(t)
  hashes.set(t, made)
  return made
}

async function register(t: TestApp): Promise<string> {
  const invitation = await t.call('POST', '/api/v1/invitations', { as: t.admin.token, body: {} })
  assert.equal(invitation.status, 201, invitation.text)
  const email = 'first-of-all@example.com'
  const body = { email, password, invitation: invitation.body.token }
  const registered = await t.call('POST', '/api/v1/auth/register', { body })
  assert.equal(registered.status, 201, registered.text)
  const [row] = await t.sql('select password_hash from accounts where email_key = $1', [email])
  return String(row?.password_hash)
}

/** A reviewer who is signed in. */
export async function newPerson(t: TestApp, email: string, role = 'reviewer'): Promise<TestPerson> {
  const [userId, accountId] = [randomUUID(), randomUUID()]
  await t.sql(
    `insert into accounts (id, email, email_key, password_hash, created_at, updated_at)
     values ($1, $2::text, lower($2::text), $3, now(), now())`,
    [accountId, email, await passwordHash(t)],
  )
  await t.sql(
    `insert into users (organization_id, id, account_id, email, email_key, role, created_at, updated_at)
     values ($1, $2, $3, $4::text, lower($4::text), $5, now(), now())`,
    [t.organizationId, userId, accountId, email, role],
  )
  return { email, password, userId, accountId, token: await tokenOf(t, t.organizationId, userId) }
}

async function tokenOf(t: TestApp, organizationId: string, userId: string): Promise<string> {
  const sessionId = await openTestSession(t.sql, organizationId, userId)
  const { token } = await createAccessTokens(secretKey, 30).sign({ organizationId, userId, sessionId }, t.clock.now())
  return token
}

/** Another organization that the person belongs to and is signed in to. */
export async function addOrganization(t: TestApp, userId: string, role = 'reviewer') {
  const organizationId = randomUUID()
  const otherUserId = randomUUID()
  await t.sql(`insert into organizations (organization_id, name) values ($1, 'Other')`, [organizationId])
  await t.sql(
    `insert into users (organization_id, id, account_id, email, email_key, role, created_at, updated_at)
     select $1, $2, account_id, email, email_key, $4, now(), now() from users where id = $3`,
    [organizationId, otherUserId, userId, role],
  )
  return { organizationId, userId: otherUserId, token: await tokenOf(t, organizationId, otherUserId) }
}

/** The token of the link in a letter. */
export function linkIn(letter: TakenLetter | undefined): string {
  const token = /#([A-Za-z0-9_-]{43})\s/.exec(letter?.text ?? '')?.[1]
  assert.ok(token, `no link in: ${letter?.text}`)
  return token
}
