import type { EventKind } from '../../facts/kinds.ts'
import { legalHold } from '../../facts/legal-hold.ts'
import { later } from '../../platform/clock.ts'
import { inTransaction, type Tx } from '../../platform/database/db.ts'
import { withContext } from '../../platform/with-context.ts'
import * as people from '../accounts/store.ts'
import { userNotFound } from '../accounts/user.ts'
import type { Permit } from '../factors/step-ups/service.ts'
import { usePermit } from '../factors/step-ups/use-permit.ts'
import { byCaller, type Caller, type Person } from '../principal.ts'
import type { DeletionContext } from './context.ts'
import { deleteDue } from './delete-due.ts'
import { organizationFact } from './facts.ts'
import {
  deletionOf,
  type Organization,
  type OrganizationMember,
  organizationNotFound,
  restorationOf,
} from './organization.ts'
import * as store from './store.ts'

export type OrganizationDeletion = ReturnType<typeof createOrganizationDeletion>

export function createOrganizationDeletion(context: DeletionContext) {
  const erasedTo = new Map<string, string>()
  return { ...withContext(context, { request, restore }), deleteDue: () => deleteDue(context, erasedTo) }
}

/** From now on only the owner can enter; after the days of grace everything is deleted. */
function request(context: DeletionContext, by: Caller<Person>, name: string, permit: Permit): Promise<Organization> {
  return decide(context, by, 'organization.deletion_requested', {
    rule: (before, me) => deletionOf(before, me, name, context.clock.now()),
    permit,
    alongside: async (tx) => {
      const { organizationId, userId } = by.principal
      if (await context.audit.isHeld(tx, organizationId)) throw legalHold()
      await context.endSessions(tx, { organizationId, exceptUserId: userId }, 'revoked', byCaller(by))
    },
  })
}

function restore(context: DeletionContext, by: Caller<Person>): Promise<Organization> {
  return decide(context, by, 'organization.restored', {
    rule: restorationOf,
    permit: null,
    alongside: async () => {},
  })
}

function decide(
  { db, clock, report, forget }: DeletionContext,
  by: Caller<Person>,
  kind: EventKind,
  {
    rule,
    permit,
    alongside,
  }: {
    readonly rule: (before: Organization, me: OrganizationMember) => Organization
    readonly permit: Permit | null
    readonly alongside: (tx: Tx) => Promise<void>
  },
): Promise<Organization> {
  const { organizationId, accountId, userId } = by.principal
  return inTransaction(db, { organizationId, accountId }, async (tx) => {
    const before = await store.organizationById(tx, organizationId, true)
    if (before === null) throw organizationNotFound()
    // Handing over takes the same lock: the owner cannot change until this transaction ends.
    const me = await people.userById(tx, organizationId, userId)
    if (me === null) throw userNotFound()
    const decided = rule(before, me)
    if (decided === before) return before
    const after = { ...decided, updatedAt: later(before, clock.now()) }
    await alongside(tx)
    const used = await usePermit(tx, permit)
    await store.saveOrganization(tx, after)
    tx.onCommit(() => forget(organizationId))
    await report(tx, [organizationFact(byCaller(by), kind, before, after, used)])
    return after
  })
}
