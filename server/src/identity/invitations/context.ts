import type { Report } from '../../facts/fact.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Db } from '../../platform/database/db.ts'
import type { MailInvitation } from './invitation-mail.ts'

export interface InvitationContext {
  readonly db: Db
  readonly clock: Clock
  readonly secretKey: string
  readonly registration: 'invite' | 'open' | 'closed'
  readonly publicUrl: string
  readonly mailInvitation: MailInvitation
  readonly report: Report
}
