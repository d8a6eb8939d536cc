import { system } from '../../facts/fact.ts'
import { inTransaction } from '../../platform/database/db.ts'
import { everywhere } from '../accounts/account-facts.ts'
import { factorsRemovedLetter } from '../accounts/account-letters.ts'
import { isPlaceholder } from '../accounts/account-link.ts'
import * as store from '../accounts/account-link-store.ts'
import { emailKey } from '../accounts/user.ts'
import type { RemovedFactors } from '../factors/store.ts'

import { removeFactorsByOperator } from './factor-removal.ts'
import type { AccountDependencies, PasswordChanges } from './password-reset.ts'

export interface Recovered {
  readonly email: string
  /** Sets a password, once. */
  readonly link: string
  /** Null: they were left alone. */
  readonly removed: RemovedFactors | null
}

export type AccountRecovery = ReturnType<typeof createAccountRecovery>

/** What only the operator may do: within an organization nobody takes an account over, as it may belong to others, too. */
export function createAccountRecovery(dependencies: AccountDependencies, passwordChanges: PasswordChanges) {
  const { db, clock, mail, endSessions, report } = dependencies

  /** With the sessions and open links of the account, which may be in the hands of whoever has the lost device now. */
  const removeSecondFactors = (accountId: string, httpRequestId: string): Promise<RemovedFactors> =>
    inTransaction(db, { accountId }, async (tx) => {
      await store.lockAccount(tx, accountId)
      const told = { visitor: { httpRequestId, network: null }, actor: system, occurredAt: clock.now() }
      const removed = await removeFactorsByOperator(tx, accountId, report, told)
      await store.dropOpenLinks(tx, accountId)
      await everywhere(tx, accountId, ({ organizationId }) =>
        endSessions(
          tx,
          { accountId, organizationId, exceptSessionId: null, because: 'revoked' },
          { actor: system, httpRequestId },
        ),
      )
      return removed
    })

  return {
    /** A link to a new password, for the operator to hand over; null when nobody has the address. */
    recover: async (email: string, withSecondFactors: boolean, httpRequestId: string): Promise<Recovered | null> => {
      const key = emailKey(email)
      const account = await store.accountByKey(db.within({ lookUp: key }), key)
      if (account === null) return null
      const removed = withSecondFactors ? await removeSecondFactors(account.id, httpRequestId) : null
      if (removed !== null && !isPlaceholder(account.email)) {
        // Its own log line says why it did not arrive.
        void mail?.send(factorsRemovedLetter(account.email, clock.now())).catch(() => {})
      }
      const link = await passwordChanges.resetLinkFor(account.email, httpRequestId)
      return link === null ? null : { email: account.email, link, removed }
    },
  }
}
