import type { Actor, Report } from '../../facts/fact.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Db, Tx } from '../../platform/database/db.ts'
import type { Logger } from '../../platform/log.ts'
import type { Mail } from '../../platform/mail.ts'
import type { DeferredWork } from '../accounts/deferred-work.ts'
import type { NewPasswordCheck } from '../accounts/new-password.ts'
import type { Passwords } from '../accounts/passwords.ts'
import type { Attempts } from '../throttle/attempts.ts'

export interface SessionsOfAccount {
  readonly accountId: string
  readonly organizationId: string
  /** This one stays open; null: none does. */
  readonly exceptSessionId: string | null
  readonly because: 'password_changed' | 'revoked'
}

export interface RecoveryDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly log: Logger
  readonly passwords: Passwords
  readonly checkNewPassword: NewPasswordCheck
  /** Null: this installation sends no mail. */
  readonly mail: Mail | null
  readonly publicUrl: string
  readonly attempts: Attempts
  /** Ends the account's sessions in one organization; the scope is both. */
  readonly endSessions: (
    tx: Tx,
    of: SessionsOfAccount,
    by: { readonly actor: Actor; readonly httpRequestId: string | null },
  ) => Promise<void>
  readonly report: Report
}

export interface RecoveryContext extends RecoveryDependencies {
  readonly deferred: DeferredWork
}
