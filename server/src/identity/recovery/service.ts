import { createDeferredWork } from '../accounts/deferred-work.ts'
import { recover } from './account-recovery.ts'
import type { RecoveryDependencies } from './context.ts'
import { confirm, requestChange, requestVerification } from './email-change.ts'
import { changePassword } from './password-change.ts'
import { forgot, reset, resetLinkFor } from './password-reset.ts'

export type PasswordChanges = ReturnType<typeof createRecovery>['passwordChanges']
export type EmailChanges = ReturnType<typeof createRecovery>['emailChanges']

export function createRecovery(dependencies: RecoveryDependencies) {
  const context = { ...dependencies, deferred: createDeferredWork() }
  return {
    passwordChanges: {
      change: changePassword.bind(null, context),
      forgot: forgot.bind(null, context),
      reset: reset.bind(null, context),
      resetLinkFor: resetLinkFor.bind(null, context),
      /** Does the deferred work; for tests and the stop. */
      drain: context.deferred.drain,
    },
    emailChanges: {
      requestVerification: requestVerification.bind(null, context),
      requestChange: requestChange.bind(null, context),
      confirm: confirm.bind(null, context),
    },
    accountRecovery: { recover: recover.bind(null, context) },
  }
}
