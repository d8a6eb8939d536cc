import type { Report } from '../../facts/fact.ts'
import type { Tx } from '../../platform/database/db.ts'
import { type AccountFact, everywhere, memberActor } from '../accounts/account-facts.ts'
import { type RemovedFactors, removeFactors } from '../factors/store.ts'
import { deleteOptionalIdentities } from '../sso/members/store.ts'

type Told = Pick<AccountFact, 'visitor' | 'actor' | 'occurredAt'>

/**
 * What was added to an account before anybody proved its mailbox may be a stranger's, who registered the address first and
 * waits for its owner: passkeys, authenticator apps, recovery codes and linked identities go. Answers whether there were any.
 */
export async function removeUnprovenFactors(tx: Tx, accountId: string, report: Report, told: Told): Promise<boolean> {
  return (await remove(tx, accountId, report, { ...told, because: 'mailbox_first_proven' }, true)).any
}

/** For who lost them. Linked identities stay: a provider looks after them. */
export async function removeFactorsByOperator(
  tx: Tx,
  accountId: string,
  report: Report,
  told: Told,
): Promise<RemovedFactors> {
  return (await remove(tx, accountId, report, { ...told, because: 'operator' }, false)).factors
}

async function remove(
  tx: Tx,
  accountId: string,
  report: Report,
  { visitor, actor, occurredAt, because }: Told & { readonly because: string },
  withIdentities: boolean,
): Promise<{ readonly any: boolean; readonly factors: RemovedFactors }> {
  const factors = await removeFactors(tx, accountId)
  const { totp, passkeys, recoveryCodes } = factors
  const hadFactors = totp + passkeys + recoveryCodes > 0
  let any = hadFactors
  await everywhere(tx, accountId, async ({ organizationId, userId }) => {
    const identities = withIdentities ? await deleteOptionalIdentities(tx, organizationId, userId) : 0
    any ||= identities > 0
    if (!hadFactors && identities === 0) return
    await report(tx, [
      {
        organizationId,
        kind: 'factors.removed',
        subjectKind: 'user',
        subjectId: userId,
        actor: actor ?? memberActor(userId),
        httpRequestId: visitor.httpRequestId,
        network: visitor.network,
        before: { totp, passkeys, recovery_codes: recoveryCodes, sso_identities: identities },
        after: { because },
        occurredAt,
      },
    ])
  })
  return { any, factors }
}
