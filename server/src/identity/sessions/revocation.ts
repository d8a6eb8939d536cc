import type { Actor, Report } from '../../facts/fact.ts'
import type { Clock } from '../../platform/clock.ts'
import { type Db, inTransaction, type Tx } from '../../platform/database/db.ts'
import { memberActor } from '../accounts/account-facts.ts'
import { dropOpenLinks, switchScope } from '../accounts/account-link-store.ts'
import * as people from '../accounts/store.ts'
import { userNotFound } from '../accounts/user.ts'
import { isWordOfProvider } from '../organizations/organization.ts'
import { actorOf, type Caller, type Person } from '../principal.ts'
import { ownActor, sessionFact } from './facts.ts'
import { hashRefreshToken, type RevocationCause, type Session, sessionNotFound } from './session.ts'
import * as store from './store.ts'

export interface RevocationDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly report: Report
  /** A session ended: this process must not remember it. */
  readonly forget: (sessionId: string) => void
}

export interface EndedBy {
  readonly actor: Actor
  readonly httpRequestId: string | null
  readonly network?: string | null
}

export type Revocation = ReturnType<typeof createRevocation>

/** Where somebody is signed in, and how that ends: each end is an event of the organization that the session was of. */
export function createRevocation({ db, clock, report, forget }: RevocationDependencies) {
  /** Ends sessions and tells it; their ids are forgotten once it is durable. */
  const endIn = async (
    tx: Tx,
    which: store.SessionsToRevoke,
    cause: RevocationCause,
    { actor, httpRequestId, network = null }: EndedBy,
  ): Promise<readonly Session[]> => {
    const now = clock.now()
    const ended = await store.revokeSessions(tx, which, cause, now)
    tx.onCommit(() => {
      for (const session of ended) forget(session.id)
    })
    const facts = ended.map((session) => ({
      ...sessionFact(session, 'session.ended', { actor, httpRequestId, network }, now),
      after: { user_id: session.userId, because: cause },
    }))
    if (facts.length > 0) await report(tx, facts)
    return ended
  }

  const madeBy = (by: Caller<Person>): EndedBy => ({
    actor: actorOf(by.principal),
    httpRequestId: by.httpRequestId,
    network: by.network ?? null,
  })

  /** As the organization of the session knows them: the session they are in may be another one's. */
  const madeByOwner = (by: Caller<Person>, userId: string): EndedBy => ({
    ...madeBy(by),
    actor: memberActor(userId, by),
  })

  /** An identity provider's word reaches no further than its own organization. */
  const isInReach = (by: Person, organizationId: string): boolean =>
    !isWordOfProvider(by) || organizationId === by.organizationId

  return {
    endIn,

    /** Signs out: ends the session that an access token belongs to. Quiet when it has ended already. */
    end: async (by: Caller<Person>): Promise<void> => {
      const { organizationId, accountId, sessionId } = by.principal
      if (sessionId === undefined) return
      await inTransaction(db, { organizationId, accountId }, (tx) =>
        endIn(tx, { accountId, id: sessionId }, 'signed_out', madeBy(by)),
      )
    },

    /** Quiet when it has ended already. False when the cookie is of no session. */
    endByCookie: async (token: string, by: Omit<EndedBy, 'actor'>): Promise<boolean> => {
      const hash = hashRefreshToken(token)
      const found = await store.findRefreshToken(db.within({ lookUp: hash.toString('hex') }), hash)
      if (found === null) return false
      const { accountId, organizationId, sessionId } = found
      await inTransaction(db, { accountId, organizationId }, async (tx) => {
        const session = await store.lockSession(tx, accountId, sessionId)
        if (session === null) return
        await endIn(tx, { accountId, id: sessionId }, 'signed_out', { ...by, actor: ownActor(session) })
      })
      return true
    },

    /** The caller's own, over organizations. */
    own: async (by: Person): Promise<readonly Session[]> => {
      const { accountId } = by
      const found = await store.liveSessions(db.within({ accountId }), { accountId }, clock.now())
      return found.filter((session) => isInReach(by, session.organizationId))
    },

    endOwn: async (by: Caller<Person>, id: string): Promise<void> => {
      const { accountId } = by.principal
      const found = await store.sessionById(db.within({ accountId }), accountId, id)
      if (found === null || !isInReach(by.principal, found.organizationId)) throw sessionNotFound()
      const { organizationId, userId } = found
      const ended = await inTransaction(db, { accountId, organizationId }, (tx) =>
        endIn(tx, { accountId, id }, 'revoked', madeByOwner(by, userId)),
      )
      if (ended.length === 0) throw sessionNotFound()
    },

    /**
     * All of the caller's but the one that asks, in one commit; answers how many ended. Links that the others may have asked
     * for, as for another address, open nothing any more.
     */
    endOthers: async (by: Caller<Person>): Promise<number> => {
      const { accountId, sessionId } = by.principal
      const kept = sessionId === undefined ? {} : { exceptSessionId: sessionId }
      return inTransaction(db, { accountId }, async (tx) => {
        await dropOpenLinks(tx, accountId)
        let ended = 0
        for (const { organizationId, userId } of await store.membershipsWithSessions(tx, accountId)) {
          if (!isInReach(by.principal, organizationId)) continue
          await switchScope(tx, organizationId)
          const which = { accountId, organizationId, ...kept }
          ended += (await endIn(tx, which, 'revoked', madeByOwner(by, userId))).length
        }
        return ended
      })
    },

    /** A member's, for the administrators of the organization: only those that are open in it. */
    ofMember: async ({ organizationId }: Person, userId: string): Promise<readonly Session[]> => {
      const scoped = db.within({ organizationId })
      if ((await people.userById(scoped, organizationId, userId)) === null) throw userNotFound()
      return store.liveSessions(scoped, { organizationId, userId }, clock.now())
    },

    endOfMember: async (by: Caller<Person>, userId: string, id: string): Promise<void> => {
      const { organizationId } = by.principal
      const ended = await inTransaction(db, { organizationId }, (tx) =>
        endIn(tx, { organizationId, userId, id }, 'revoked', madeBy(by)),
      )
      if (ended.length === 0) throw sessionNotFound()
    },
  }
}
