import { type Fact, factBy, system } from '../../facts/fact.ts'
import { inTransaction, type Tx } from '../../platform/database/db.ts'
import { newId } from '../../platform/ids.ts'
import { Problem } from '../../platform/problem.ts'
import type { AccessTokens } from '../access-token.ts'
import { switchScope } from '../accounts/account-link-store.ts'
import * as people from '../accounts/store.ts'
import type { User } from '../accounts/user.ts'
import { sessionOver } from '../authenticate.ts'
import type { EndedBy } from '../context.ts'
import { organizationNotFound, requireOwnSignIn } from '../organizations/organization.ts'
import { byCaller, byNobody, type Caller, type Person } from '../principal.ts'
import { hashSecretToken, newSecretToken } from '../secret-token.ts'
import { endIn, type RevocationContext } from './revocation.ts'
import { cookieMissing, entryRefused, isLive, judgeRefresh, type OpenedBy, ownActor, type Session } from './session.ts'
import * as store from './store.ts'

/** How a session begins, is renewed, and moves to another organization. */

export interface SessionContext extends RevocationContext {
  readonly tokens: AccessTokens
  readonly accessTokenMinutes: number
  /** A browser unused for this long has to sign in again. */
  readonly idleMinutes: number
  /** No session lasts longer than this, however much it is used. */
  readonly maxMinutes: number
  /** Why the organization does not accept these methods from this member; null when it does. `tx`: read within it. */
  readonly refusalOf: (user: User, methods: readonly string[], tx?: Tx) => Promise<Problem | null>
  /** Whether the identity is still linked and its provider on; a call that ends that waits for the transaction. */
  readonly stillOpens: (tx: Tx, organizationId: string, by: OpenedBy) => Promise<boolean>
}

/** The call that a person signs in with. */
export interface Visit {
  readonly httpRequestId: string
  readonly network: string | null
  readonly userAgent: string | null
  /** The caller wants a cookie to renew the session with. */
  readonly browser: boolean
}

/** What single sign-on opens a session by; the person may have signed in to the provider long before. */
export interface BySso {
  readonly openedBy: OpenedBy
  readonly signedInAt: Date
}

export interface OpenedSession {
  readonly session: Session
  readonly user: User
  readonly accessToken: string
  readonly expiresInSeconds: number
  /** Null for bearers. */
  readonly refreshToken: string | null
}

/**
 * Opens a session for a person who proved who they are at `provenAt` or later. Throws 401 if their password was changed since,
 * because the change may have been meant to end exactly this sign-in.
 */
export async function begin(
  context: SessionContext,
  user: User,
  methods: readonly string[],
  visit: Visit,
  provenAt: Date,
  bySso: BySso | null = null,
): Promise<OpenedSession> {
  await requireEntry(context, user, methods)
  const session = newSession(context, user, methods, visit, bySso)
  const openedBy = bySso?.openedBy ?? null
  const { organizationId, accountId } = session
  const refreshToken = await inTransaction(context.db, { organizationId, accountId }, async (tx) => {
    // The provider before the member, as a sign-in whose claims give the role locks them.
    if (openedBy !== null && !(await context.stillOpens(tx, organizationId, openedBy))) throw sessionOver()
    if ((await people.enterableMembership(tx, organizationId, user.id, true)) === null) throw entryRefused()
    return open(context, tx, session, visit, provenAt)
  })
  return opened(context, session, user, refreshToken)
}

/**
 * A new access token and a new cookie for a browser. Throws 401 and ends the session when the token was stolen; throws 403
 * and ends it when a sign-in by the same methods would be refused now.
 */
export async function refresh(
  context: SessionContext,
  token: string,
  visit: Omit<Visit, 'browser'>,
): Promise<OpenedSession> {
  const { db, clock, report } = context
  const { httpRequestId, network } = visit
  const hash = hashSecretToken(token)
  const found = await store.findRefreshToken(db.within({ lookUp: hash.toString('hex') }), hash)
  if (found === null) throw sessionOver()
  const { accountId, organizationId, sessionId } = found
  const which = { accountId, id: sessionId }
  const bySystem = { actor: system, httpRequestId, network }
  const renewed = await inTransaction(db, { accountId, organizationId }, async (tx) => {
    const session = await store.lockSession(tx, accountId, sessionId)
    const now = clock.now()
    if (session === null || !isLive(session, now)) return null
    const user = await people.enterableMembership(tx, organizationId, session.userId)
    const state = await store.refreshState(tx, sessionId, hash)
    if (user === null || state.token === null) return null
    const verdict = judgeRefresh(state.token, state.newest, now)
    if (verdict.kind === 'reuse') {
      await report(tx, [sessionFact(session, 'session.reuse_detected', byNobody(organizationId, visit), now)])
      await endIn(context, tx, which, 'reuse', bySystem)
      return null
    }
    const refusal = await context.refusalOf(user, session.signedInWith, tx)
    if (refusal !== null) {
      await endIn(context, tx, which, 'revoked', bySystem)
      return refusal
    }
    await store.renewSession(tx, session, { at: now, idleUntil: idleUntil(context, now, session.expiresAt), network })
    return { session, user, refreshToken: await issueRefreshToken(context, tx, session, verdict.generation) }
  })
  if (renewed === null) throw sessionOver()
  if (renewed instanceof Problem) throw renewed
  return opened(context, renewed.session, renewed.user, renewed.refreshToken)
}

/** Moves the caller to another of their organizations: opens a session there and ends this one, in one commit. */
export async function switchTo(
  context: SessionContext,
  by: Caller<Person>,
  organizationId: string,
  visit: Visit,
  cookie: string | null,
): Promise<OpenedSession> {
  const { db, clock } = context
  const { accountId, sessionId, organizationId: here } = by.principal
  if (organizationId !== here) requireOwnSignIn(by.principal)
  const memberships = await people.enterableMemberships(db.within({ accountId }), accountId)
  const user = memberships.find((membership) => membership.organizationId === organizationId)
  if (user === undefined) throw organizationNotFound()
  await requireEntry(context, user, by.principal.signIn?.methods ?? [])
  const switched = await inTransaction(db, { organizationId, accountId }, async (tx) => {
    // The member before the session, as deactivation locks them. Both, so that an end elsewhere leaves nothing behind.
    if ((await people.enterableMembership(tx, organizationId, user.id, true)) === null) throw organizationNotFound()
    const before = sessionId === undefined ? null : await store.lockSession(tx, accountId, sessionId)
    if (before === null || !isLive(before, clock.now())) throw sessionOver()
    await requireCookieOf(context, tx, before, cookie)
    // Each organization's events are about its own session.
    await switchScope(tx, here)
    await endIn(context, tx, { accountId, id: before.id }, 'switched', byCaller(by))
    await switchScope(tx, organizationId)
    const session = successorOf(context, before, user, visit)
    return { session, refreshToken: await open(context, tx, session, visit, null) }
  })
  return opened(context, switched.session, user, switched.refreshToken)
}

async function requireEntry(context: SessionContext, user: User, methods: readonly string[]): Promise<void> {
  const refusal = await context.refusalOf(user, methods)
  if (refusal !== null) throw refusal
}

/** Throws unless the browser that switches holds the cookie of its session: a token alone must not get a new cookie. */
async function requireCookieOf(
  { clock }: SessionContext,
  tx: Tx,
  session: Session,
  token: string | null,
): Promise<void> {
  if (session.kind !== 'browser') return
  const state = token === null ? null : await store.refreshState(tx, session.id, hashSecretToken(token))
  if (state?.token == null) throw cookieMissing()
  if (judgeRefresh(state.token, state.newest, clock.now()).kind === 'reuse') throw cookieMissing()
}

function newSession(
  context: SessionContext,
  user: User,
  methods: readonly string[],
  visit: Visit,
  bySso: BySso | null,
): Session {
  const now = context.clock.now()
  const minutes = visit.browser ? context.maxMinutes : context.accessTokenMinutes
  const expiresAt = new Date(now.getTime() + minutes * 60_000)
  return {
    id: newId(),
    accountId: user.accountId,
    organizationId: user.organizationId,
    userId: user.id,
    kind: visit.browser ? 'browser' : 'bearer',
    identityProviderId: bySso?.openedBy.identityProviderId ?? null,
    ssoIdentityId: bySso?.openedBy.ssoIdentityId ?? null,
    signedInWith: methods,
    signedInAt: bySso?.signedInAt ?? now,
    network: visit.network,
    userAgent: visit.userAgent?.slice(0, 512) ?? null,
    lastUsedAt: now,
    idleUntil: visit.browser ? idleUntil(context, now, expiresAt) : expiresAt,
    expiresAt,
    revokedAt: null,
  }
}

/** The session that replaces another one: no proof becomes fresher by it, and no session longer. */
function successorOf(
  context: SessionContext,
  before: Session,
  { organizationId, id: userId }: User,
  visit: Visit,
): Session {
  const now = context.clock.now()
  return {
    ...before,
    id: newId(),
    organizationId,
    userId,
    network: visit.network,
    userAgent: visit.userAgent?.slice(0, 512) ?? null,
    lastUsedAt: now,
    idleUntil: before.kind === 'browser' ? idleUntil(context, now, before.expiresAt) : before.expiresAt,
  }
}

function idleUntil({ idleMinutes }: SessionContext, now: Date, expiresAt: Date): Date {
  return new Date(Math.min(now.getTime() + idleMinutes * 60_000, expiresAt.getTime()))
}

/**
 * In the scope of the session's account and organization. Returns the token that renews it. `provenAt` is null when it
 * replaces a live session.
 */
async function open(
  context: SessionContext,
  tx: Tx,
  session: Session,
  { httpRequestId, network }: Visit,
  provenAt: Date | null,
): Promise<string | null> {
  await store.insertSession(tx, session)
  const { accountId, organizationId } = session
  if (!(await people.rememberOrganization(tx, accountId, organizationId, provenAt))) throw sessionOver()
  const by = { actor: ownActor(session), httpRequestId, network }
  await context.report(tx, [sessionFact(session, 'session.opened', by, context.clock.now())])
  return session.kind === 'browser' ? issueRefreshToken(context, tx, session, 1) : null
}

async function issueRefreshToken(
  { clock }: SessionContext,
  tx: Tx,
  session: Session,
  generation: number,
): Promise<string> {
  const token = newSecretToken()
  await store.insertRefreshToken(tx, session, { hash: hashSecretToken(token), generation, createdAt: clock.now() })
  return token
}

/** The access token never outlives the session. */
async function opened(
  { clock, tokens }: SessionContext,
  session: Session,
  user: User,
  refreshToken: string | null,
): Promise<OpenedSession> {
  const { organizationId, userId, id: sessionId } = session
  const now = clock.now()
  const { token, expiresInSeconds } = await tokens.sign({ organizationId, userId, sessionId }, now)
  const left = Math.floor((session.expiresAt.getTime() - now.getTime()) / 1_000)
  const shorter = Math.max(0, Math.min(expiresInSeconds, left))
  return { session, user, accessToken: token, expiresInSeconds: shorter, refreshToken }
}

function sessionFact(
  { organizationId, id, userId, kind: sessionKind, signedInWith }: Session,
  kind: 'session.opened' | 'session.reuse_detected',
  by: EndedBy,
  occurredAt: Date,
): Fact {
  const after = { user_id: userId, session_kind: sessionKind, signed_in_with: signedInWith }
  return factBy({ ...by, organizationId }, kind, ['session', id], { before: null, after, occurredAt })
}
