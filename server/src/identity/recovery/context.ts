import type { Letters } from '../../letters/service.ts'
import type { Logger } from '../../platform/log.ts'
import type { Deferral, DeferredWork } from '../accounts/deferred-work.ts'
import type { NewPasswordCheck } from '../accounts/new-password.ts'
import type { Passwords } from '../accounts/passwords.ts'
import type { EndSessions, IdentityContext } from '../context.ts'
import type { Attempts } from '../throttle/attempts.ts'

export interface RecoveryDependencies extends IdentityContext {
  readonly log: Logger
  readonly passwords: Passwords
  readonly checkNewPassword: NewPasswordCheck
  readonly letters: Letters
  readonly publicUrl: string
  readonly attempts: Attempts
  readonly endSessions: EndSessions
  /** Tests bring a shorter one. */
  readonly deferral?: Deferral | undefined
}

export interface RecoveryContext extends RecoveryDependencies {
  readonly defer: DeferredWork
}
