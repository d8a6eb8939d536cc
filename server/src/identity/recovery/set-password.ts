import type { FactChange } from '../../facts/fact.ts'
import type { SealedLetter } from '../../letters/store.ts'
import type { Tx } from '../../platform/database/db.ts'
import { passwordChangedEmail } from '../accounts/account-emails.ts'
import { type AccountOrigin, everywhere, originIn, reportEverywhere } from '../accounts/account-facts.ts'
import * as store from '../accounts/account-link-store.ts'
import { sealEmail } from './account-mail.ts'
import type { RecoveryContext } from './context.ts'

/** What every new password does, however it came about. The session that it was set in stays open, all others end. */
export async function setPassword(
  { clock, report, endSessions }: RecoveryContext,
  tx: Tx,
  accountId: string,
  passwordHash: string,
  origin: AccountOrigin,
  kind: 'password.changed' | 'password.reset',
  after: FactChange['after'] = null,
): Promise<void> {
  const now = clock.now()
  await store.savePassword(tx, accountId, passwordHash, now)
  // Links for a new address too: a person who knew the old password may have asked for one.
  await store.dropOpenLinks(tx, accountId)
  await reportEverywhere(tx, accountId, report, origin, kind, { after, occurredAt: now })
  await everywhere(tx, accountId, async (membership) => {
    const { organizationId } = membership
    const others = { accountId, organizationId, exceptSessionId: origin.by?.principal.sessionId }
    await endSessions(tx, others, 'password_changed', originIn(membership, { ...origin, network: null }))
  })
}

export function passwordChangedLetter(
  context: RecoveryContext,
  { id: accountId, email: to }: { readonly id: string; readonly email: string },
  factorsRemoved = false,
): Promise<SealedLetter | null> {
  const forgotLink = `${context.publicUrl}/password/forgot`
  const email = passwordChangedEmail(to, context.clock.now(), forgotLink, factorsRemoved)
  return sealEmail(context, { kind: 'notice', accountId, email })
}
