import type { Clock } from '../../platform/clock.ts'
import { type Db, inTransaction, type Tx } from '../../platform/db.ts'
import { newId } from '../../platform/ids.ts'
import { Problem } from '../../platform/problem.ts'
import type { AccessTokens } from '../access-token.ts'
import { unauthenticated } from '../authenticate.ts'
import type { IdentityFact } from '../fact.ts'
import * as people from '../people/store.ts'
import type { User } from '../people/user.ts'
import { type Actor, actorOf, type Caller, type Person } from '../principal.ts'
import {
  hashRefreshToken,
  isLive,
  judgeRefresh,
  newRefreshToken,
  type RevocationCause,
  type Session,
} from './session.ts'
import * as store from './store.ts'

export interface SessionDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly tokens: AccessTokens
  readonly accessTokenMinutes: number
  /** A browser that was not used for so long has to sign in again. */
  readonly idleMinutes: number
  /** No session is longer than this, however much it is used. */
  readonly maxMinutes: number
  readonly report: (tx: Tx, facts: readonly IdentityFact[]) => Promise<void>
  /** Throws 403 where the organization lets nobody of this role in by these methods. */
  readonly requireEntry: (user: User, methods: readonly string[]) => Promise<void>
  /** A session ended: this process must not remember it. */
  readonly forget: (sessionId: string) => void
}

/** Where and how somebody signs in. */
export interface Visit {
  readonly httpRequestId: string
  readonly network: string | null
  readonly userAgent: string | null
  /** The caller wants a cookie to renew the session with. */
  readonly browser: boolean
}

export interface OpenedSession {
  readonly session: Session
  readonly user: User
  readonly accessToken: string
  readonly expiresInSeconds: number
  /** Null for bearers. */
  readonly refreshToken: string | null
}

export type Sessions = ReturnType<typeof createSessions>

export function createSessions(dependencies: SessionDependencies) {
  const { db, clock, tokens, report, forget } = dependencies

  const newSession = (user: User, methods: readonly string[], visit: Visit): Session => {
    const now = clock.now()
    const minutes = visit.browser ? dependencies.maxMinutes : dependencies.accessTokenMinutes
    const expiresAt = new Date(now.getTime() + minutes * 60_000)
    return {
      id: newId(),
      accountId: user.accountId,
      organizationId: user.organizationId,
      userId: user.id,
      kind: visit.browser ? 'browser' : 'bearer',
      signedInWith: methods,
      signedInAt: now,
      network: visit.network,
      userAgent: visit.userAgent?.slice(0, 512) ?? null,
      lastUsedAt: now,
      idleUntil: visit.browser ? idleUntil(now, expiresAt) : expiresAt,
      expiresAt,
      revokedAt: null,
    }
  }

  const idleUntil = (now: Date, expiresAt: Date): Date =>
    new Date(Math.min(now.getTime() + dependencies.idleMinutes * 60_000, expiresAt.getTime()))

  const factOf = (
    session: Session,
    kind: string,
    actor: Actor,
    httpRequestId: string,
    more: Partial<IdentityFact> = {},
  ) => ({
    organizationId: session.organizationId,
    kind,
    subjectKind: 'session' as const,
    subjectId: session.id,
    actor,
    httpRequestId,
    before: null,
    after: { user_id: session.userId, session_kind: session.kind, signed_in_with: session.signedInWith },
    occurredAt: clock.now(),
    ...more,
  })

  const ownActor = (session: Session): Actor => ({
    kind: 'person',
    id: session.userId,
    sessionId: session.id,
    signedInWith: session.signedInWith,
  })

  const issueRefreshToken = async (tx: Tx, session: Session, generation: number): Promise<string> => {
    const token = newRefreshToken()
    await store.insertRefreshToken(tx, session, { hash: hashRefreshToken(token), generation, createdAt: clock.now() })
    return token
  }

  const opened = async (session: Session, user: User, refreshToken: string | null): Promise<OpenedSession> => {
    const { organizationId, userId, id: sessionId } = session
    const { token, expiresInSeconds } = await tokens.sign({ organizationId, userId, sessionId }, clock.now())
    return { session, user, accessToken: token, expiresInSeconds, refreshToken }
  }

  /** Ends sessions and tells it; their ids are forgotten once it is durable. */
  const endIn = async (
    tx: Tx,
    which: store.SessionsToRevoke,
    cause: RevocationCause,
    by: { readonly actor: Actor; readonly httpRequestId: string | null },
  ): Promise<readonly Session[]> => {
    const ended = await store.revokeSessions(tx, which, cause, clock.now())
    tx.onCommit(() => {
      for (const session of ended) forget(session.id)
    })
    if (ended.length > 0) {
      await report(
        tx,
        ended.map((session) => ({
          ...factOf(session, 'session.ended', by.actor, by.httpRequestId ?? ''),
          httpRequestId: by.httpRequestId,
          after: { user_id: session.userId, because: cause },
        })),
      )
    }
    return ended
  }

  const endOne = async (
    scope: { readonly organizationId: string; readonly accountId?: string },
    which: store.SessionsToRevoke,
    cause: RevocationCause,
    by: Caller<Person>,
  ): Promise<void> => {
    const made = { actor: actorOf(by.principal), httpRequestId: by.httpRequestId }
    const ended = await inTransaction(db, scope, (tx) => endIn(tx, which, cause, made))
    if (ended.length === 0) throw new Problem(404, 'session.not_found', 'Session not found, or already ended')
  }

  return {
    /** Opens a session for somebody who has proved who they are. */
    begin: async (user: User, methods: readonly string[], visit: Visit): Promise<OpenedSession> => {
      await dependencies.requireEntry(user, methods)
      const session = newSession(user, methods, visit)
      const { organizationId, accountId } = session
      const refreshToken = await inTransaction(db, { organizationId, accountId }, async (tx) => {
        await store.insertSession(tx, session)
        await store.rememberOrganization(tx, accountId, organizationId)
        await report(tx, [
          factOf(session, 'session.opened', ownActor(session), visit.httpRequestId, { network: visit.network }),
        ])
        return visit.browser ? issueRefreshToken(tx, session, 1) : null
      })
      return opened(session, user, refreshToken)
    },

    /** A new access token for a browser, and a new cookie. Throws 401, and ends the session when the token was stolen. */
    refresh: async (token: string, visit: Omit<Visit, 'browser'>): Promise<OpenedSession> => {
      const hash = hashRefreshToken(token)
      const found = await store.findRefreshToken(db.within({ lookUp: hash.toString('hex') }), hash)
      if (found === null) throw sessionOver()
      const { accountId, organizationId, sessionId } = found
      const renewed = await inTransaction(db, { accountId, organizationId }, async (tx) => {
        const session = await store.lockSession(tx, accountId, sessionId)
        const now = clock.now()
        if (session === null || !isLive(session, now)) return null
        const user = await people.userById(tx, organizationId, session.userId)
        const state = await store.refreshState(tx, sessionId, hash)
        if (user === null || !user.isActive || state.token === null) return null
        const verdict = judgeRefresh(state.token, state.newest, now)
        if (verdict.kind === 'reuse') {
          const { httpRequestId, network } = visit
          const nobody: Actor = { kind: 'anonymous', id: null }
          await report(tx, [factOf(session, 'session.reuse_detected', nobody, httpRequestId, { network })])
          await endIn(tx, { accountId, id: sessionId }, 'reuse', { actor: { kind: 'system', id: null }, httpRequestId })
          return null
        }
        const until = idleUntil(now, session.expiresAt)
        await store.renewSession(tx, session, { at: now, idleUntil: until, network: visit.network })
        return { session, user, refreshToken: await issueRefreshToken(tx, session, verdict.generation) }
      })
      if (renewed === null) throw sessionOver()
      return opened(renewed.session, renewed.user, renewed.refreshToken)
    },

    /** Signs out: ends the session that a cookie or an access token belongs to. Quiet when it has ended already. */
    end: async (by: Caller<Person>): Promise<void> => {
      const { organizationId, accountId, sessionId } = by.principal
      const made = { actor: actorOf(by.principal), httpRequestId: by.httpRequestId }
      if (sessionId === undefined) return
      await inTransaction(db, { organizationId, accountId }, (tx) =>
        endIn(tx, { accountId, id: sessionId }, 'signed_out', made),
      )
    },

    endByCookie: async (token: string, httpRequestId: string): Promise<void> => {
      const hash = hashRefreshToken(token)
      const found = await store.findRefreshToken(db.within({ lookUp: hash.toString('hex') }), hash)
      if (found === null) return
      const { accountId, organizationId, sessionId } = found
      await inTransaction(db, { accountId, organizationId }, async (tx) => {
        const session = await store.lockSession(tx, accountId, sessionId)
        if (session === null) return
        await endIn(tx, { accountId, id: sessionId }, 'signed_out', { actor: ownActor(session), httpRequestId })
      })
    },

    /** The caller's own, over organizations. */
    own: (by: Person): Promise<readonly Session[]> =>
      store.liveSessions(db.within({ accountId: by.accountId }), { accountId: by.accountId }, clock.now()),

    endOwn: async (by: Caller<Person>, id: string): Promise<void> => {
      const { accountId, organizationId } = by.principal
      const session = (await store.liveSessions(db.within({ accountId }), { accountId }, clock.now())).find(
        (own) => own.id === id,
      )
      // The event belongs to the organization that the session is of.
      await endOne(
        { accountId, organizationId: session?.organizationId ?? organizationId },
        { accountId, id },
        'revoked',
        by,
      )
    },

    /** All of the caller's but the one that asks; answers how many ended. */
    endOthers: async (by: Caller<Person>, cause: RevocationCause = 'revoked'): Promise<number> => {
      const { accountId, sessionId } = by.principal
      const own = await store.liveSessions(db.within({ accountId }), { accountId }, clock.now())
      const others = own.filter((session) => session.id !== sessionId)
      const made = { actor: actorOf(by.principal), httpRequestId: by.httpRequestId }
      for (const { id, organizationId } of others) {
        await inTransaction(db, { accountId, organizationId }, (tx) => endIn(tx, { accountId, id }, cause, made))
      }
      return others.length
    },

    /** A member's, for the administrators of the organization: only those that are open in it. */
    ofMember: async (organizationId: string, userId: string): Promise<readonly Session[]> => {
      const scoped = db.within({ organizationId })
      if ((await people.userById(scoped, organizationId, userId)) === null) {
        throw new Problem(404, 'user.not_found', 'User not found')
      }
      return store.liveSessions(scoped, { organizationId, userId }, clock.now())
    },

    endOfMember: async (by: Caller<Person>, userId: string, id: string): Promise<void> => {
      const { organizationId } = by.principal
      await endOne({ organizationId }, { organizationId, userId, id }, 'revoked', by)
    },

    endIn,

    /** Another organization of the same person: a session of its own there, and the end of this one. */
    switchTo: async (by: Caller<Person>, organizationId: string, visit: Visit): Promise<OpenedSession> => {
      const { accountId, sessionId, signIn } = by.principal
      const memberships = await people.usersOfAccount(db.within({ accountId }), accountId)
      const user = memberships.find((member) => member.organizationId === organizationId && member.isActive)
      if (user === undefined) throw new Problem(404, 'organization.not_found', 'Organization not found')
      // An identity provider speaks for its own organization; its word opens no other.
      if (signIn?.methods.includes('oidc')) throw signedInElsewhere()
      await dependencies.requireEntry(user, signIn?.methods ?? [])
      // The proof is as old as it was: switching must not make it look fresh.
      const session = { ...newSession(user, signIn?.methods ?? [], visit), signedInAt: signIn?.at ?? clock.now() }
      const refreshToken = await inTransaction(db, { organizationId, accountId }, async (tx) => {
        await store.insertSession(tx, session)
        await store.rememberOrganization(tx, accountId, organizationId)
        await report(tx, [
          factOf(session, 'session.opened', ownActor(session), visit.httpRequestId, { network: visit.network }),
        ])
        return visit.browser ? issueRefreshToken(tx, session, 1) : null
      })
      const made = { actor: actorOf(by.principal), httpRequestId: by.httpRequestId }
      if (sessionId !== undefined) {
        await inTransaction(db, { organizationId: by.principal.organizationId, accountId }, (tx) =>
          endIn(tx, { accountId, id: sessionId }, 'switched', made),
        )
      }
      return opened(session, user, refreshToken)
    },

    /** Forgets sessions that ended a month ago; answers how many. */
    forgetOver: (): Promise<number> =>
      store.deleteSessionsOver(db.within({ worker: true }), new Date(clock.now().getTime() - 30 * 86_400_000)),
  }
}

function signedInElsewhere(): Problem {
  const detail =
    "You came in by your organization's identity provider, which opens this organization only. Sign out, then sign in to the other one."
  return new Problem(403, 'sso.other_organization', detail)
}

function sessionOver(): Problem {
  return unauthenticated('session.over', 'This session has ended. Sign in again.')
}
