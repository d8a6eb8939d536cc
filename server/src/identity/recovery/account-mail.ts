import type { LetterKind } from '../../letters/letter.ts'
import type { SealedLetter } from '../../letters/store.ts'
import { installationId } from '../../platform/ids.ts'
import type { Email } from '../../platform/mail.ts'
import { refusal } from '../../platform/problem.ts'
import { isPlaceholder } from '../accounts/account-link.ts'
import type { RecoveryContext } from './context.ts'

/** To one account, for one purpose: more would be somebody's way to fill a mailbox. */
export const emailsPerHour = 5

/** Links to new addresses that one person may have mailed within a day: they go to whomever the person names. */
export const addressesPerDay = 10

/** A notice is of use for a week, a link as long as it works. */
const noticeMinutes = 7 * 24 * 60

export const noMail = refusal(
  409,
  'mail.not_configured',
  'This installation sends no mail. Ask its operator for a link.',
)
export const tooManyEmails = refusal(
  429,
  'mail.too_many',
  (when: 'in an hour' | 'tomorrow') => ({
    detail: `Enough emails were sent for now. Look into your mailbox, and its spam folder, or try again ${when}.`,
    headers: { 'retry-after': when === 'tomorrow' ? '86400' : '3600' },
  }),
  'in an hour',
)

export function requireMail({ letters }: RecoveryContext): void {
  if (!letters.isOn) throw noMail()
}

export interface AccountEmail {
  readonly kind: LetterKind
  readonly accountId: string
  readonly email: Email
  /** Left out: it is a notice. */
  readonly minutes?: number
  /** The owner asked for it, signed in: it counts among what they may send. */
  readonly isAskedFor?: boolean
}

/** To be posted in the transaction of what it is about. Null where there is nobody to send it to. */
export async function sealEmail(
  { letters, clock }: RecoveryContext,
  { kind, accountId, email, minutes = noticeMinutes, isAskedFor = false }: AccountEmail,
): Promise<SealedLetter | null> {
  if (isPlaceholder(email.to)) return null
  const usefulUntil = new Date(clock.now().getTime() + minutes * 60_000)
  const about = ['account', accountId] as const
  const of = { organizationId: installationId, about, accountId: isAskedFor ? accountId : null }
  return letters.seal({ ...email, ...of, kind, usefulUntil })
}
