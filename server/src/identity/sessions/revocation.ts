import { factBy } from '../../facts/fact.ts'
import { inTransaction, type Tx } from '../../platform/database/db.ts'
import { bySession, originIn } from '../accounts/account-facts.ts'
import { dropOpenLinks, type Membership, switchScope } from '../accounts/account-link-store.ts'
import * as people from '../accounts/store.ts'
import { userNotFound } from '../accounts/user.ts'
import type { EndedBy, EndOfSession, IdentityContext, SessionsToEnd } from '../context.ts'
import { dropSignInChallenges } from '../factors/sign-in/store.ts'
import { isWordOfProvider } from '../organizations/organization.ts'
import { byCaller, type Caller, type Person } from '../principal.ts'
import { hashSecretToken } from '../secret-token.ts'
import { isLive, isStale, ownActor, type Session, sessionNotFound } from './session.ts'
import * as store from './store.ts'

/** Where somebody is signed in, and how that ends. Each end is an event of the session's organization. */

export interface RevocationContext extends IdentityContext {
  /** A session ended: this process must forget what it remembers of it. */
  readonly forget: (sessionId: string) => void
}

/** Ends sessions and reports it; their ids are forgotten once it is durable. With all of a person's go their unfinished sign-ins. */
export async function endIn(
  { clock, report, forget }: RevocationContext,
  tx: Tx,
  which: SessionsToEnd,
  cause: EndOfSession,
  by: EndedBy,
): Promise<readonly Session[]> {
  const occurredAt = clock.now()
  const { id, identityProviderId, ssoIdentityId } = which
  if ([id, identityProviderId, ssoIdentityId].every((one) => one === undefined)) await dropSignInChallenges(tx, which)
  const ended = await store.revokeSessions(tx, which, cause, occurredAt)
  tx.onCommit(() => {
    for (const session of ended) forget(session.id)
  })
  const facts = ended.map(({ organizationId, id, userId }) => {
    const change = { before: null, after: { user_id: userId, because: cause }, occurredAt }
    return factBy({ ...by, organizationId }, 'session.ended', ['session', id], change)
  })
  if (facts.length > 0) await report(tx, facts)
  return ended
}

/** Signs out: ends the session of an access token. Does nothing if it has ended already. */
export async function end(context: RevocationContext, by: Caller<Person>): Promise<void> {
  const { organizationId, accountId, sessionId } = by.principal
  if (sessionId === undefined) return
  await inTransaction(context.db, { organizationId, accountId }, (tx) =>
    endIn(context, tx, { accountId, id: sessionId }, 'signed_out', byCaller(by)),
  )
}

/** Does nothing if the session has ended already. False when the cookie belongs to no session. */
export async function endByCookie(
  context: RevocationContext,
  token: string,
  by: Omit<EndedBy, 'actor'>,
): Promise<boolean> {
  const { db } = context
  const hash = hashSecretToken(token)
  const found = await store.findRefreshToken(db.within({ lookUp: hash.toString('hex') }), hash)
  if (found === null) return false
  const { accountId, organizationId, sessionId } = found
  await inTransaction(db, { accountId, organizationId }, async (tx) => {
    const session = await store.lockSession(tx, accountId, sessionId)
    if (session === null) return
    const which = { accountId, id: sessionId }
    await endIn(context, tx, which, 'signed_out', { ...by, actor: ownActor(session) })
  })
  return true
}

/** The live session that a browser's cookie belongs to; null without one, and for a cookie that was replaced a while ago. */
export async function liveByCookie({ db, clock }: RevocationContext, token: string): Promise<Session | null> {
  const hash = hashSecretToken(token)
  const found = await store.findRefreshToken(db.within({ lookUp: hash.toString('hex') }), hash)
  if (found === null || isStale(found, clock.now())) return null
  const { accountId, sessionId } = found
  const session = await store.sessionById(db.within({ accountId }), accountId, sessionId)
  return session !== null && isLive(session, clock.now()) ? session : null
}

/** The caller's own, in all organizations. */
export async function own({ db, clock }: RevocationContext, by: Person): Promise<readonly Session[]> {
  const { accountId } = by
  const found = await store.liveSessions(db.within({ accountId }), { accountId }, clock.now())
  return found.filter((session) => isInReach(by, session.organizationId))
}

export async function endOwn(context: RevocationContext, by: Caller<Person>, id: string): Promise<void> {
  const { db } = context
  const { accountId } = by.principal
  const found = await store.sessionById(db.within({ accountId }), accountId, id)
  if (found === null || !isInReach(by.principal, found.organizationId)) throw sessionNotFound()
  const { organizationId } = found
  const ended = await inTransaction(db, { accountId, organizationId }, (tx) =>
    endIn(context, tx, { accountId, id }, 'revoked', byMember(by, found)),
  )
  if (ended.length === 0) throw sessionNotFound()
}

/**
 * Ends all of the caller's sessions but the one that asks, in one commit, and returns how many ended. Links that the others
 * may have requested, such as one for another address, stop working, and so do unfinished sign-ins; a provider's word ends
 * neither, because they are the account's.
 */
export async function endOthers(context: RevocationContext, by: Caller<Person>): Promise<number> {
  const { accountId, sessionId } = by.principal
  return inTransaction(context.db, { accountId }, async (tx) => {
    if (!isWordOfProvider(by.principal)) {
      await dropOpenLinks(tx, accountId)
      await dropSignInChallenges(tx, { accountId })
    }
    let ended = 0
    for (const membership of await store.membershipsWithSessions(tx, accountId)) {
      const { organizationId } = membership
      if (!isInReach(by.principal, organizationId)) continue
      await switchScope(tx, organizationId)
      const which = { accountId, organizationId, exceptSessionId: sessionId }
      ended += (await endIn(context, tx, which, 'revoked', byMember(by, membership))).length
    }
    return ended
  })
}

/** A member's live sessions in this organization, for its administrators. */
export async function ofMember(
  { db, clock }: RevocationContext,
  { organizationId }: Person,
  userId: string,
): Promise<readonly Session[]> {
  const scoped = db.within({ organizationId })
  if ((await people.userById(scoped, organizationId, userId)) === null) throw userNotFound()
  return store.liveSessions(scoped, { organizationId, userId }, clock.now())
}

export async function endOfMember(
  context: RevocationContext,
  by: Caller<Person>,
  userId: string,
  id: string,
): Promise<void> {
  const { organizationId } = by.principal
  const ended = await inTransaction(context.db, { organizationId }, (tx) =>
    endIn(context, tx, { organizationId, userId, id }, 'revoked', byCaller(by)),
  )
  if (ended.length === 0) throw sessionNotFound()
}

/** As the session's organization knows the caller, whose own session may be in another one. */
function byMember(by: Caller<Person>, membership: Membership): EndedBy {
  return originIn(membership, bySession(by))
}

/** An identity provider's word reaches no further than its own organization. */
function isInReach(by: Person, organizationId: string): boolean {
  return !isWordOfProvider(by) || organizationId === by.organizationId
}
