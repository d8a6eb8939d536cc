import type { NewPasswordCheck } from '../accounts/new-password.ts'
import type { Passwords } from '../accounts/passwords.ts'
import type { IdentityContext } from '../context.ts'
import type { Invitations } from '../invitations/service.ts'

export interface RegistrationContext extends IdentityContext {
  readonly passwords: Passwords
  readonly invitations: Invitations
  readonly registration: 'invite' | 'open' | 'closed'
  readonly checkNewPassword: NewPasswordCheck
}
