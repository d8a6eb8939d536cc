import type { Letters } from '../../letters/service.ts'
import type { IdentityContext } from '../context.ts'
import type { InvitationMails } from './invitation-mail.ts'

export interface InvitationContext extends IdentityContext {
  readonly secretKey: string
  readonly registration: 'invite' | 'open' | 'closed'
  readonly publicUrl: string
  readonly mails: InvitationMails
  readonly letters: Letters
}
