import type { Origin, Report } from '../facts/fact.ts'
import type { Clock } from '../platform/clock.ts'
import type { Db, Tx } from '../platform/database/db.ts'

/** What every use case needs; a room's own context adds to it. */
export interface IdentityContext {
  readonly db: Db
  readonly clock: Clock
  /** Appends to the event log in the caller's transaction. */
  readonly report: Report
}

/** Sessions that fit every field given. */
export interface SessionsToEnd {
  readonly accountId?: string
  readonly organizationId?: string
  readonly userId?: string
  readonly id?: string
  readonly identityProviderId?: string
  readonly ssoIdentityId?: string
  readonly exceptUserId?: string
  readonly exceptSessionId?: string | undefined
}

export type EndOfSession = 'signed_out' | 'revoked' | 'reuse' | 'switched' | 'password_changed' | 'deactivated'

/** The organization is the session's own. */
export type EndedBy = Omit<Origin, 'organizationId'>

/** Ends live sessions and reports it; the transaction's scope is their account or their organization. */
export type EndSessions = (tx: Tx, which: SessionsToEnd, cause: EndOfSession, by: EndedBy) => Promise<unknown>
