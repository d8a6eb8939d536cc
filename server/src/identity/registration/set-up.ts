import { bySystem, factBy } from '../../facts/fact.ts'
import { inTransaction } from '../../platform/database/db.ts'
import { newId } from '../../platform/ids.ts'
import { hasRole } from '../accounts/store.ts'
import { newOrganization } from '../organizations/organization.ts'
import * as organizations from '../organizations/store.ts'
import type { RegistrationContext } from './context.ts'

/** The id of the installation's first organization, which the first start creates. */
export async function ensureOrganization({ db, clock, report }: RegistrationContext): Promise<string> {
  const known = await organizations.defaultOrganization(db.within({ worker: true }))
  if (known !== null) return known
  const made = newOrganization(newId(), 'Default', clock.now())
  const { organizationId, name, createdAt: occurredAt } = made
  return inTransaction(db, { worker: true, organizationId }, async (tx) => {
    await organizations.lockFirstSetup(tx)
    const existing = await organizations.defaultOrganization(tx)
    if (existing !== null) return existing
    await organizations.insertOrganization(tx, made, { createdBy: null, idempotency: null })
    await report(tx, [
      factBy(bySystem(organizationId), 'organization.created', ['organization', organizationId], {
        after: { name },
        occurredAt,
      }),
    ])
    return organizationId
  })
}

/** A one-time token for the first administrator; null when there is one. Earlier tokens stop working. */
export async function setupToken(context: RegistrationContext): Promise<string | null> {
  const { db, invitations } = context
  const organizationId = await ensureOrganization(context)
  return inTransaction(db, { organizationId }, async (tx) => {
    await organizations.lockFirstSetup(tx)
    // Also when there is an administrator by now (ADMIN_EMAIL): a link in an old log must not make another.
    await invitations.expireSetupLinks(tx, organizationId)
    if (await hasRole(tx, organizationId, ['owner', 'admin'])) return null
    return invitations.createSetupLink(tx, bySystem(organizationId))
  })
}
