import type { Email } from '../../platform/mail.ts'
import { refusal } from '../../platform/problem.ts'
import type { RecoveryContext } from './context.ts'

/** To one account, for one purpose: more would be somebody's way to fill a mailbox. */
export const emailsPerHour = 5

export const noMail = refusal(
  409,
  'mail.not_configured',
  'This installation sends no mail. Ask its operator for a link.',
)
export const tooManyEmails = refusal(429, 'mail.too_many', {
  detail: 'Enough emails were sent for now. Look into your mailbox, and its spam folder, or try again in an hour.',
  headers: { 'retry-after': '3600' },
})

export function requireMail({ mail }: RecoveryContext): void {
  if (mail === null) throw noMail()
}

/** Nobody waits for it, and no reply says whether it was sent: the log of mail says why one was not. */
export function send({ mail }: RecoveryContext, email: Email): void {
  void mail?.send(email).catch(() => {})
}
