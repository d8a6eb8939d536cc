import { factBy } from '../../facts/fact.ts'
import { later } from '../../platform/clock.ts'
import { inTransaction } from '../../platform/database/db.ts'
import { memberFact } from '../accounts/member-facts.ts'
import * as people from '../accounts/store.ts'
import { type User, userNotFound } from '../accounts/user.ts'
import type { Permit } from '../factors/step-ups/service.ts'
import { usePermit } from '../factors/step-ups/use-permit.ts'
import { byCaller, type Caller, type Person } from '../principal.ts'
import type { OrganizationContext } from './context.ts'
import { organizationNotFound, requireTransferable } from './organization.ts'
import * as store from './store.ts'

/**
 * The owner becomes an admin and the other member the owner, in one commit behind the organization's lock: there is never a
 * second owner, whatever calls race. The former owner's sessions stay open, with an admin's rights.
 */
export function transfer(
  { db, clock, report, forget, endSessionsOutsideSso }: OrganizationContext,
  by: Caller<Person>,
  toId: string,
  permit: Permit,
): Promise<void> {
  const { organizationId, accountId, userId } = by.principal
  return inTransaction(db, { organizationId, accountId }, async (tx) => {
    if ((await store.organizationById(tx, organizationId, true)) === null) throw organizationNotFound()
    const members = await people.lockUsers(tx, organizationId, [userId, toId], true)
    const me = members.find((member) => member.id === userId)
    const owner = members.find((member) => member.role === 'owner') ?? null
    const to = members.find((member) => member.id === toId) ?? null
    if (me === undefined) throw userNotFound()
    requireTransferable(me, owner, to)
    const used = await usePermit(tx, permit)
    const now = clock.now()
    // In this order: PostgreSQL too allows one owner at most.
    const handed = [
      ...(owner === null ? [] : [{ before: owner, role: 'admin' } as const]),
      { before: to, role: 'owner' } as const,
    ]
    const changed = []
    for (const { before, role } of handed) {
      const after: User = { ...before, role, updatedAt: later(before, now) }
      await people.saveUser(tx, after)
      tx.onCommit(() => forget(after.id))
      changed.push(memberFact(byCaller(by), 'user.changed', before, after, used))
    }
    await report(tx, [
      factBy(byCaller(by), 'organization.transferred', ['organization', organizationId], {
        before: { owner_id: owner?.id ?? null },
        after: { owner_id: to.id, assurance: used.assurance },
        digest: used.digest ?? null,
        occurredAt: now,
      }),
      ...changed,
    ])
    await endSessionsOutsideSso(tx, by)
  })
}
