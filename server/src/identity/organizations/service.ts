import { later } from '../../platform/clock.ts'
import { inTransaction } from '../../platform/database/db.ts'
import { withContext } from '../../platform/with-context.ts'
import type { Permit } from '../factors/step-ups/service.ts'
import { usePermit } from '../factors/step-ups/use-permit.ts'
import { byCaller, type Caller, type Person } from '../principal.ts'
import type { OrganizationContext } from './context.ts'
import { create } from './create.ts'
import { organizationFact } from './facts.ts'
import { isWordOfProvider, type Organization, organizationNotFound } from './organization.ts'
import * as store from './store.ts'
import { transfer } from './transfer.ts'

export interface OrganizationChanges {
  readonly name?: string | undefined
  readonly requireStepUp?: boolean | undefined
}

export type Organizations = ReturnType<typeof createOrganizations>

export function createOrganizations(context: OrganizationContext) {
  return withContext(context, { own, current, create, change, transfer })
}

/** Those that the caller can enter, with their role in each. */
async function own({ db }: OrganizationContext, by: Person): Promise<readonly store.OwnMembership[]> {
  const found = await store.organizationsOfAccount(db.within({ accountId: by.accountId }), by.accountId)
  if (!isWordOfProvider(by)) return found
  return found.filter(({ organization }) => organization.organizationId === by.organizationId)
}

async function current({ db }: OrganizationContext, { organizationId }: Person): Promise<Organization> {
  const found = await store.organizationById(db.within({ organizationId }), organizationId)
  if (found === null) throw organizationNotFound()
  return found
}

function change(
  { db, clock, report }: OrganizationContext,
  by: Caller<Person>,
  changes: OrganizationChanges,
  permit: Permit,
): Promise<Organization> {
  const { organizationId, accountId } = by.principal
  return inTransaction(db, { organizationId, accountId }, async (tx) => {
    const before = await store.organizationById(tx, organizationId, true)
    if (before === null) throw organizationNotFound()
    const { name = before.name, requireStepUp = before.requireStepUp } = changes
    if (name === before.name && requireStepUp === before.requireStepUp) return before
    const used = await usePermit(tx, permit)
    const after = { ...before, name, requireStepUp, updatedAt: later(before, clock.now()) }
    await store.saveOrganization(tx, after)
    await report(tx, [organizationFact(byCaller(by), 'organization.changed', before, after, used)])
    return after
  })
}
