import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { createAccessTokens } from '../../../src/identity/access-token.ts'
import { openTestSession, type Reply, secretKey, type TestApp } from '../../harness.ts'
import { recordedEvents } from '../../recorded-events.ts'
import { codeAt } from './authenticator-app.ts'

export const auth = '/api/v1/auth'
export const password = 'correct horse'

export interface TestPerson {
  readonly organizationId: string
  readonly id: string
  readonly accountId: string
  readonly email: string
  readonly token: string
}

/** For apps that trust 127.0.0.1: calls come from another network after each `move`, so that tests do not throttle others. */
export function travelling(t: TestApp): TestApp & { move(): void } {
  let network = 0
  return {
    ...t,
    move: () => {
      network += 1
    },
    call: (method, path, options = {}) => {
      const from = `198.51.${100 + (network >> 8)}.${network & 255}`
      return t.call(method, path, { ...options, headers: { 'x-forwarded-for': from, ...options.headers } })
    },
  }
}

let hash: string | null = null

/** A member of the organization with a password, signed in with it just now. */
export async function newPerson(t: TestApp, role = 'reviewer'): Promise<TestPerson> {
  const { organizationId } = t
  const [id, accountId] = [randomUUID(), randomUUID()]
  const email = `${id}@example.com`
  hash ??= await hashOf(t)
  await t.sql(
    'insert into accounts (id, email, email_key, password_hash, created_at, updated_at) values ($1, $2, $2, $3, $4, $4)',
    [accountId, email, hash, t.clock.now()],
  )
  await t.sql(
    `insert into users (organization_id, id, account_id, email, email_key, role, created_at, updated_at)
     values ($1, $2, $3, $4, $4, $5, $6, $6)`,
    [organizationId, id, accountId, email, role, t.clock.now()],
  )
  return { organizationId, id, accountId, email, token: await newSession(t, { organizationId, id }) }
}

/** The hash of `password` as registration makes it, computed once because it takes a quarter of a second. */
async function hashOf(t: TestApp): Promise<string> {
  const invited = await t.call('POST', '/api/v1/invitations', { as: t.admin.token, body: {} })
  const email = `${randomUUID()}@example.com`
  const body = { email, password, invitation: invited.body.token }
  const made = await t.call('POST', `${auth}/register`, { body })
  assert.equal(made.status, 201, made.text)
  const [row] = await t.sql('select password_hash from accounts where email = $1', [email])
  return String(row?.password_hash)
}

/** One more session of the person, signed in with the password just now. */
export async function newSession(
  t: TestApp,
  { organizationId, id }: Pick<TestPerson, 'organizationId' | 'id'>,
): Promise<string> {
  const sessionId = await openTestSession(t.sql, organizationId, id)
  await t.sql('update sessions set signed_in_at = $2 where id = $1', [sessionId, t.clock.now()])
  const tokens = createAccessTokens(secretKey, 30)
  return (await tokens.sign({ organizationId, userId: id, sessionId }, t.clock.now())).token
}

/** The next code of this app. Each is accepted once, so the clock moves on to it. */
export function nextCode(t: TestApp, seed: string): string {
  t.clock.advance(30_000)
  return codeAt(seed, t.clock.now())
}

/** Adds an authenticator app in the two calls that it takes. */
export async function addTotp(t: TestApp, as: string): Promise<{ readonly id: string; readonly seed: string }> {
  const begun = await t.call('POST', `${auth}/factors/totp`, { as })
  assert.equal(begun.status, 201, begun.text)
  const { id, secret: seed } = begun.body
  const confirmed = await t.call('POST', `${auth}/factors/totp/${id}/confirm`, {
    as,
    body: { code: codeAt(seed, t.clock.now()) },
  })
  assert.equal(confirmed.status, 200, confirmed.text)
  return { id, seed }
}

/** Makes the call as the refusal says: refused, step-up, repeated. */
export async function withStepUp(
  t: TestApp,
  as: string,
  proof: Readonly<Record<string, unknown>>,
  method: string,
  path: string,
  body?: unknown,
): Promise<Reply> {
  const options = body === undefined ? { as } : { as, body }
  const refused = await t.call(method, path, options)
  assert.equal(refused.body?.code, 'auth.step_up_required', refused.text)
  const stepUp = await t.call('POST', `${auth}/step-up`, { as, body: { digest: refused.body.digest, ...proof } })
  assert.equal(stepUp.status, 200, stepUp.text)
  return t.call(method, path, { ...options, headers: { 'x-step-up': stepUp.body.step_up } })
}

export async function recoveryCodes(t: TestApp, as: string, seed: string): Promise<readonly string[]> {
  const proof = { method: 'totp', code: nextCode(t, seed) }
  const made = await withStepUp(t, as, proof, 'POST', `${auth}/factors/recovery-codes`)
  assert.equal(made.status, 201, made.text)
  return made.body.codes
}

export const signIn = (t: TestApp, person: TestPerson, typed = password): Promise<Reply> =>
  t.call('POST', `${auth}/login`, { body: { username: person.email, password: typed } })

/** A sign-in with the right password that waits for its second factor. Calls the service directly to avoid the hashing. */
export async function beginSignIn(t: TestApp, { accountId, organizationId, id }: TestPerson): Promise<string> {
  const first = { accountId, organizationId, userId: id, methods: ['password'] }
  return (await t.app.identity.factors.signIn.beginChallenge(first)).challenge
}

/** Records of what happened to the person, oldest first. */
export function eventsOf(t: TestApp, person: TestPerson) {
  return recordedEvents(t.sql, { subject: person.id })
}
