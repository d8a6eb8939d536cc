import { withContext } from '../../platform/with-context.ts'
import { createDeferredWork } from '../accounts/deferred-work.ts'
import { recover } from './account-recovery.ts'
import type { RecoveryDependencies } from './context.ts'
import { confirm, requestChange, requestVerification } from './email-change.ts'
import { changePassword } from './password-change.ts'
import { forgot, reset, resetLinkFor } from './password-reset.ts'

export type PasswordChanges = ReturnType<typeof createRecovery>['passwordChanges']
export type EmailChanges = ReturnType<typeof createRecovery>['emailChanges']

export function createRecovery(dependencies: RecoveryDependencies) {
  const context = { ...dependencies, defer: createDeferredWork(dependencies.deferral) }
  return {
    passwordChanges: withContext(context, { change: changePassword, forgot, reset, resetLinkFor }),
    emailChanges: withContext(context, { requestVerification, requestChange, confirm }),
    accountRecovery: withContext(context, { recover }),
  }
}
