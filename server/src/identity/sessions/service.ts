import { type Actor, type Report, system } from '../../facts/fact.ts'
import type { Clock } from '../../platform/clock.ts'
import { type Db, inTransaction, type Tx } from '../../platform/database/db.ts'
import { newId } from '../../platform/ids.ts'
import { Problem } from '../../platform/problem.ts'
import type { AccessTokens } from '../access-token.ts'
import { switchScope } from '../accounts/account-link-store.ts'
import * as people from '../accounts/store.ts'
import type { User } from '../accounts/user.ts'
import { sessionOver } from '../authenticate.ts'
import { organizationNotFound, requireOwnSignIn } from '../organizations/organization.ts'
import { actorOf, type Caller, type Person } from '../principal.ts'
import { ownActor, sessionFact } from './facts.ts'
import { createRevocation } from './revocation.ts'
import {
  cookieMissing,
  entryRefused,
  hashRefreshToken,
  isLive,
  judgeRefresh,
  newRefreshToken,
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
  readonly report: Report
  /** Why the organization lets nobody of this role in by these methods; null when it does. `tx`: read within it. */
  readonly refusalOf: (user: User, methods: readonly string[], tx?: Tx) => Promise<Problem | null>
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
  const revocation = createRevocation({ db, clock, report, forget })

  const requireEntry = async (user: User, methods: readonly string[]): Promise<void> => {
    const refusal = await dependencies.refusalOf(user, methods)
    if (refusal !== null) throw refusal
  }

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

  const issueRefreshToken = async (tx: Tx, session: Session, generation: number): Promise<string> => {
    const token = newRefreshToken()
    await store.insertRefreshToken(tx, session, { hash: hashRefreshToken(token), generation, createdAt: clock.now() })
    return token
  }

  /** The access token outlives no session, however little of it is left. */
  const opened = async (session: Session, user: User, refreshToken: string | null): Promise<OpenedSession> => {
    const { organizationId, userId, id: sessionId } = session
    const now = clock.now()
    const { token, expiresInSeconds } = await tokens.sign({ organizationId, userId, sessionId }, now)
    const left = Math.floor((session.expiresAt.getTime() - now.getTime()) / 1_000)
    const shorter = Math.max(0, Math.min(expiresInSeconds, left))
    return { session, user, accessToken: token, expiresInSeconds: shorter, refreshToken }
  }

  /**
   * In the scope of the account and of the organization that the session is of. Answers what renews it. `provenAt` null: it
   * takes the place of one that is live.
   */
  const open = async (tx: Tx, session: Session, visit: Visit, provenAt: Date | null): Promise<string | null> => {
    await store.insertSession(tx, session)
    const { accountId, organizationId } = session
    if (!(await people.rememberOrganization(tx, accountId, organizationId, provenAt))) throw sessionOver()
    const { httpRequestId, network } = visit
    const by = { actor: ownActor(session), httpRequestId, network }
    await report(tx, [sessionFact(session, 'session.opened', by, clock.now())])
    return session.kind === 'browser' ? issueRefreshToken(tx, session, 1) : null
  }

  /** Throws unless the browser that switches holds the cookie of its session: a token alone must not get a new cookie. */
  const requireCookieOf = async (tx: Tx, session: Session, token: string | null): Promise<void> => {
    if (session.kind !== 'browser') return
    const state = token === null ? null : await store.refreshState(tx, session.id, hashRefreshToken(token))
    if (state?.token == null || judgeRefresh(state.token, state.newest, clock.now()).kind === 'reuse')
      throw cookieMissing()
  }

  /** The session that takes the place of one: no proof becomes fresher by it, and no session longer. */
  const successorOf = (before: Session, { organizationId, id: userId }: User, visit: Visit): Session => {
    const now = clock.now()
    return {
      ...before,
      id: newId(),
      organizationId,
      userId,
      network: visit.network,
      userAgent: visit.userAgent?.slice(0, 512) ?? null,
      lastUsedAt: now,
      idleUntil: before.kind === 'browser' ? idleUntil(now, before.expiresAt) : before.expiresAt,
    }
  }

  return {
    ...revocation,

    /**
     * Opens a session for somebody who has proved who they are, at `provenAt` or later. Throws 401 when their password was
     * changed since: what was proved may be what that was to end.
     */
    begin: async (user: User, methods: readonly string[], visit: Visit, provenAt: Date): Promise<OpenedSession> => {
      await requireEntry(user, methods)
      const session = newSession(user, methods, visit)
      const { organizationId, accountId } = session
      const refreshToken = await inTransaction(db, { organizationId, accountId }, async (tx) => {
        if ((await people.entrant(tx, organizationId, user.id, true)) === null) throw entryRefused()
        return open(tx, session, visit, provenAt)
      })
      return opened(session, user, refreshToken)
    },

    /**
     * A new access token for a browser, and a new cookie. Throws 401, and ends the session when the token was stolen; throws
     * 403, and ends it, where a sign-in by the same methods would be refused now.
     */
    refresh: async (token: string, visit: Omit<Visit, 'browser'>): Promise<OpenedSession> => {
      const hash = hashRefreshToken(token)
      const found = await store.findRefreshToken(db.within({ lookUp: hash.toString('hex') }), hash)
      if (found === null) throw sessionOver()
      const { accountId, organizationId, sessionId } = found
      const renewed = await inTransaction(db, { accountId, organizationId }, async (tx) => {
        const session = await store.lockSession(tx, accountId, sessionId)
        const now = clock.now()
        if (session === null || !isLive(session, now)) return null
        const user = await people.entrant(tx, organizationId, session.userId)
        const state = await store.refreshState(tx, sessionId, hash)
        if (user === null || state.token === null) return null
        const verdict = judgeRefresh(state.token, state.newest, now)
        if (verdict.kind === 'reuse') {
          const { httpRequestId, network } = visit
          const nobody: Actor = { kind: 'anonymous', id: null }
          const by = { actor: nobody, httpRequestId, network }
          await report(tx, [sessionFact(session, 'session.reuse_detected', by, now)])
          await revocation.endIn(tx, { accountId, id: sessionId }, 'reuse', { actor: system, httpRequestId, network })
          return null
        }
        const refusal = await dependencies.refusalOf(user, session.signedInWith, tx)
        if (refusal !== null) {
          const { httpRequestId, network } = visit
          await revocation.endIn(tx, { accountId, id: sessionId }, 'revoked', { actor: system, httpRequestId, network })
          return refusal
        }
        const until = idleUntil(now, session.expiresAt)
        await store.renewSession(tx, session, { at: now, idleUntil: until, network: visit.network })
        return { session, user, refreshToken: await issueRefreshToken(tx, session, verdict.generation) }
      })
      if (renewed === null) throw sessionOver()
      if (renewed instanceof Problem) throw renewed
      return opened(renewed.session, renewed.user, renewed.refreshToken)
    },

    /** Another organization of the same person: a session of its own there, and the end of this one, in one commit. */
    switchTo: async (
      by: Caller<Person>,
      organizationId: string,
      visit: Visit,
      cookie: string | null,
    ): Promise<OpenedSession> => {
      const { accountId, sessionId, organizationId: here } = by.principal
      if (organizationId !== here) requireOwnSignIn(by.principal)
      const user = (await people.entrances(db.within({ accountId }), accountId)).find(
        (member) => member.organizationId === organizationId,
      )
      if (user === undefined) throw organizationNotFound()
      await requireEntry(user, by.principal.signIn?.methods ?? [])
      const switched = await inTransaction(db, { organizationId, accountId }, async (tx) => {
        // The member before the session, as deactivation locks them. Both: what is being ended elsewhere leaves nothing behind.
        if ((await people.entrant(tx, organizationId, user.id, true)) === null) throw organizationNotFound()
        const before = sessionId === undefined ? null : await store.lockSession(tx, accountId, sessionId)
        if (before === null || !isLive(before, clock.now())) throw sessionOver()
        await requireCookieOf(tx, before, cookie)
        const { httpRequestId, network } = visit
        const made = { actor: actorOf(by.principal), httpRequestId, network }
        // Each organization is told of its own session.
        await switchScope(tx, here)
        await revocation.endIn(tx, { accountId, id: before.id }, 'switched', made)
        await switchScope(tx, organizationId)
        const session = successorOf(before, user, visit)
        return { session, refreshToken: await open(tx, session, visit, null) }
      })
      return opened(switched.session, user, switched.refreshToken)
    },

    /** Forgets some of the sessions that ended a month ago; answers whether there are more. */
    forgetOver: async (): Promise<boolean> => {
      const before = new Date(clock.now().getTime() - 30 * 86_400_000)
      return (await store.deleteSessionsOver(db.within({ worker: true }), before, forgottenAtOnce)) === forgottenAtOnce
    },
  }
}

const forgottenAtOnce = 1_000
