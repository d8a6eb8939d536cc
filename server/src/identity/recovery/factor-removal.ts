import { factBy, type Report } from '../../facts/fact.ts'
import type { Tx } from '../../platform/database/db.ts'
import { type AccountOrigin, everywhere, originIn } from '../accounts/account-facts.ts'
import { type RemovedFactors, removeFactors } from '../factors/store.ts'
import { deleteOptionalIdentities } from '../sso/members/store.ts'

/**
 * Removes passkeys, authenticator apps, recovery codes and linked identities that were added before anybody proved the
 * mailbox: they may be a stranger's, who registered the address first and waits for its owner. Returns whether there were any.
 */
export async function removeUnprovenFactors(
  tx: Tx,
  accountId: string,
  report: Report,
  origin: AccountOrigin,
  occurredAt: Date,
): Promise<boolean> {
  const because = 'mailbox_first_proven'
  return (await remove(tx, accountId, report, origin, { because, occurredAt, withIdentities: true })).any
}

/** For a person who lost them. Linked identities stay: the identity provider recovers those. */
export async function removeFactorsByOperator(
  tx: Tx,
  accountId: string,
  report: Report,
  origin: AccountOrigin,
  occurredAt: Date,
): Promise<RemovedFactors> {
  const because = 'operator'
  return (await remove(tx, accountId, report, origin, { because, occurredAt, withIdentities: false })).factors
}

async function remove(
  tx: Tx,
  accountId: string,
  report: Report,
  origin: AccountOrigin,
  {
    because,
    occurredAt,
    withIdentities,
  }: { readonly because: string; readonly occurredAt: Date; readonly withIdentities: boolean },
): Promise<{ readonly any: boolean; readonly factors: RemovedFactors }> {
  const factors = await removeFactors(tx, accountId)
  const { totp, passkeys, recoveryCodes } = factors
  const hadFactors = totp + passkeys + recoveryCodes > 0
  let any = hadFactors
  await everywhere(tx, accountId, async (membership) => {
    const { organizationId, userId } = membership
    const identities = withIdentities ? await deleteOptionalIdentities(tx, organizationId, userId) : 0
    any ||= identities > 0
    if (!hadFactors && identities === 0) return
    await report(tx, [
      factBy(originIn(membership, origin), 'factors.removed', ['user', userId], {
        before: { totp, passkeys, recovery_codes: recoveryCodes, sso_identities: identities },
        after: { because },
        occurredAt,
      }),
    ])
  })
  return { any, factors }
}
