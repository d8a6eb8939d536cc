import type { Report } from '../../facts/fact.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Db } from '../../platform/database/db.ts'
import type { NewPasswordCheck } from '../accounts/new-password.ts'
import type { Passwords } from '../accounts/passwords.ts'
import type { Invitations } from '../invitations/service.ts'

export interface RegistrationContext {
  readonly db: Db
  readonly clock: Clock
  readonly passwords: Passwords
  readonly invitations: Invitations
  readonly registration: 'invite' | 'open' | 'closed'
  readonly checkNewPassword: NewPasswordCheck
  readonly report: Report
}
