import { type Fact, factBy, type Origin } from '../../facts/fact.ts'
import { inTransaction, type Tx } from '../../platform/database/db.ts'
import { installationId } from '../../platform/ids.ts'
import { switchScope } from '../accounts/account-link-store.ts'
import * as people from '../accounts/store.ts'
import type { DeletionContext } from './context.ts'
import * as store from './store.ts'

/** Per transaction, so that none is long: rows of any table, and members with their accounts. */
const rowsAtOnce = 1_000
const membersAtOnce = 100

/** How far each organization's audit was erased; a process that starts again begins at the beginning. */
type ErasedTo = Map<string, string>

/**
 * Deletes a batch of each organization that is due; returns whether there is more. Any number of processes may call it. A
 * failure in one organization does not hold up the others.
 */
export async function deleteDue(context: DeletionContext, erasedTo: ErasedTo): Promise<boolean> {
  const { db, clock } = context
  const failures: unknown[] = []
  let more = false
  for (const organizationId of await store.organizationsToDelete(db.within({ worker: true }), clock.now())) {
    const goOn = await deleteSome(context, erasedTo, organizationId).catch((error: unknown) => {
      failures.push(error)
      return false
    })
    more ||= goOn
  }
  if (failures.length > 0) throw failures[0]
  return more
}

/** One transaction's worth of one organization; returns whether to go on with it. */
async function deleteSome(context: DeletionContext, erasedTo: ErasedTo, organizationId: string): Promise<boolean> {
  const { db, clock, audit } = context
  const now = clock.now()
  const step = await inTransaction(db, { organizationId }, async (tx) => {
    const due = await store.lockDue(tx, organizationId, now)
    if (due === null || (await audit.isHeld(tx, organizationId))) return 'left'
    if (!due.isBegun) {
      await begin(context, tx, organizationId)
      return 'some'
    }
    if ((await store.deleteRows(tx, rowsAtOnce)) > 0) return 'some'
    return (await deleteMembers(context, tx, organizationId)) > 0 ? 'some' : 'only the audit'
  })
  if (step !== 'only the audit') return step === 'some'
  const erased = await audit.eraseFrom(organizationId, erasedTo.get(organizationId))
  if (erased !== null) {
    erasedTo.set(organizationId, erased)
    return true
  }
  erasedTo.delete(organizationId)
  await inTransaction(db, { organizationId }, async (tx) => {
    if ((await store.lockDue(tx, organizationId, now)) !== null) await finish(context, tx, organizationId)
  })
  return false
}

/** From here on nobody can enter, and nothing brings the organization back. What is under way in it may still end. */
async function begin({ clock, report, forget }: DeletionContext, tx: Tx, organizationId: string): Promise<void> {
  const occurredAt = clock.now()
  await store.markDeleted(tx, organizationId, occurredAt)
  tx.onCommit(() => forget(organizationId))
  await report(tx, [organizationEnds('organization.deletion_begun', organizationId, organizationId, occurredAt)])
}

/** Some members, and the accounts that belong to no other organization; returns how many members. */
async function deleteMembers({ clock, report }: DeletionContext, tx: Tx, organizationId: string): Promise<number> {
  const members = await people.deleteUsers(tx, organizationId, membersAtOnce)
  const facts: Fact[] = []
  for (const { id, accountId, role } of members) {
    facts.push(
      factBy(byTimer(organizationId), 'user.deleted', ['user', id], {
        before: { role },
        after: { account_deleted: await people.deleteLoneAccount(tx, accountId) },
        occurredAt: clock.now(),
      }),
    )
  }
  if (facts.length > 0) await report(tx, facts)
  return members.length
}

/** Nothing is left. The organization's log says so, though nobody in it reads it any more, and the installation's log too. */
async function finish({ clock, report }: DeletionContext, tx: Tx, organizationId: string): Promise<void> {
  const occurredAt = clock.now()
  await store.markCleared(tx, organizationId, occurredAt)
  await report(tx, [organizationEnds('organization.deleted', organizationId, organizationId, occurredAt)])
  await switchScope(tx, installationId)
  await report(tx, [organizationEnds('organization.deleted', organizationId, installationId, occurredAt)])
}

function organizationEnds(
  kind: 'organization.deletion_begun' | 'organization.deleted',
  organizationId: string,
  inLogOf: string,
  occurredAt: Date,
): Fact {
  return factBy(byTimer(inLogOf), kind, ['organization', organizationId], { occurredAt })
}

function byTimer(organizationId: string): Origin {
  return { organizationId, actor: { kind: 'timer', id: null }, httpRequestId: null }
}
