import { system } from '../../facts/fact.ts'
import { inTransaction } from '../../platform/database/db.ts'
import { factorsRemovedEmail } from '../accounts/account-emails.ts'
import { everywhere } from '../accounts/account-facts.ts'
import * as store from '../accounts/account-link-store.ts'
import { emailKey } from '../accounts/user.ts'
import type { RemovedFactors } from '../factors/store.ts'
import { sealEmail } from './account-mail.ts'
import type { RecoveryContext } from './context.ts'
import { removeFactorsByOperator } from './factor-removal.ts'
import { resetLinkFor } from './password-reset.ts'

export interface Recovered {
  readonly email: string
  /** Sets a password, once. */
  readonly link: string
  /** Null: they were left alone. */
  readonly removed: RemovedFactors | null
}

/**
 * A link to a new password, for the operator to hand over; null when no account has the address. For the operator alone:
 * nobody within an organization may take an account over, because it may belong to others too.
 */
export async function recover(
  context: RecoveryContext,
  email: string,
  withSecondFactors: boolean,
  httpRequestId: string,
): Promise<Recovered | null> {
  const key = emailKey(email)
  const account = await store.accountByKey(context.db.within({ lookUp: key }), key)
  if (account === null) return null
  const removed = withSecondFactors ? await removeSecondFactors(context, account, httpRequestId) : null
  const link = await resetLinkFor(context, account.email, httpRequestId)
  return link === null ? null : { email: account.email, link, removed }
}

/** Also ends the account's sessions and open links, which may be in the hands of the finder of the lost device. */
async function removeSecondFactors(
  context: RecoveryContext,
  { id: accountId, email: to }: store.AccountSecrets,
  httpRequestId: string,
): Promise<RemovedFactors> {
  const { db, clock, letters, report, endSessions } = context
  const email = factorsRemovedEmail(to, clock.now())
  const letter = await sealEmail(context, { kind: 'notice', accountId, email })
  return inTransaction(db, { accountId }, async (tx) => {
    await store.lockAccount(tx, accountId)
    const origin = { httpRequestId, network: null, actor: system }
    const removed = await removeFactorsByOperator(tx, accountId, report, origin, clock.now())
    await store.dropOpenLinks(tx, accountId)
    await letters.post(tx, letter)
    await everywhere(tx, accountId, async ({ organizationId }) => {
      await endSessions(tx, { accountId, organizationId }, 'revoked', origin)
    })
    return removed
  })
}
