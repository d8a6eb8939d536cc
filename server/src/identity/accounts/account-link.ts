import { refusal } from '../../platform/problem.ts'
import { emailKey } from './user.ts'

export type LinkPurpose = 'password_reset' | 'email_verification' | 'email_change'

/** A link that works once and proves something about the account's owner. Only the hash of its token is kept. */
export interface AccountLink {
  readonly id: string
  readonly accountId: string
  readonly purpose: LinkPurpose
  /** The address it was mailed to, which using it proves; null for one that the operator printed. */
  readonly email: string | null
  /** Asked for from a network that the owner has signed in from: such links are counted apart from those of strangers. */
  readonly fromKnownNetwork: boolean
  readonly expiresAt: Date
  readonly usedAt: Date | null
  readonly createdAt: Date
  /** The session that asked for another address; null for other purposes. */
  readonly sessionId: string | null
}

/** Half an hour for a link that takes an account over, a day for one that only confirms an address. */
export const linkMinutes: Readonly<Record<LinkPurpose, number>> = {
  password_reset: 30,
  email_verification: 24 * 60,
  email_change: 24 * 60,
}

export const linkNotValid = refusal(
  403,
  'link.not_valid',
  'This link is no longer valid: it was used, has expired, or was replaced by a newer one. Ask for a new one.',
)

/**
 * Throws 403 unless the link can be used now. One sentence for every cause. A link mailed to an address that the account no
 * longer has is invalid: the holder of the old mailbox must not get the account.
 */
export function useLink(
  link: AccountLink | null,
  purposes: readonly LinkPurpose[],
  account: { readonly email: string } | null,
  now: Date,
): AccountLink {
  const stillTheirs =
    link?.email == null || link.purpose === 'email_change' || emailKey(link.email) === emailKey(account?.email ?? '')
  const fits =
    link !== null && account !== null && stillTheirs && purposes.includes(link.purpose) && link.usedAt === null
  if (fits && link.expiresAt > now) return link
  throw linkNotValid()
}

/** Stands for the address of an account without one, whose owner signs in by other means. Never delivered to (RFC 2606). */
export function placeholderEmail(accountId: string): string {
  return `${accountId}@sso.invalid`
}

export function isPlaceholder(email: string): boolean {
  return email.endsWith('@sso.invalid')
}
