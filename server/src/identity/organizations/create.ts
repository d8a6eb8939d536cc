import { inTransaction } from '../../platform/database/db.ts'
import { type CreatedOnce, createOnce, type Idempotency } from '../../platform/idempotency.ts'
import { newId } from '../../platform/ids.ts'
import * as accounts from '../accounts/account-link-store.ts'
import { byNewMember, memberFact } from '../accounts/member-facts.ts'
import * as people from '../accounts/store.ts'
import { type User, userNotFound } from '../accounts/user.ts'
import type { Caller, Person } from '../principal.ts'
import type { OrganizationContext } from './context.ts'
import { organizationFact } from './facts.ts'
import { maxOwned, newOrganization, type Organization, requireOwnSignIn, tooManyOwned } from './organization.ts'
import * as store from './store.ts'

/** Creates an organization whose owner is the caller. */
export async function create(
  { db, clock, report }: OrganizationContext,
  by: Caller<Person>,
  name: string,
  idempotency: Idempotency | null,
): Promise<CreatedOnce<Organization>> {
  requireOwnSignIn(by.principal)
  const { accountId } = by.principal
  const me = await people.userById(db.within(by.principal), by.principal.organizationId, by.principal.userId)
  // The account's own address: a membership's may be what somebody's identity provider says it is.
  const account = await accounts.accountById(db.within({ accountId }), accountId)
  if (me === null || account === null) throw userNotFound()
  const now = clock.now()
  const organization = newOrganization(newId(), name, now)
  const { organizationId } = organization
  const { email } = account
  const owner: User = { ...me, organizationId, id: newId(), email, role: 'owner', createdAt: now, updatedAt: now }
  return createOnce(idempotency, {
    insert: () =>
      inTransaction(db, { organizationId, accountId }, async (tx) => {
        // One after the other, because they are counted.
        await accounts.lockAccount(tx, accountId)
        if (!(await store.insertOrganization(tx, organization, { createdBy: accountId, idempotency }))) return null
        await people.insertUser(tx, owner)
        if ((await people.countOwned(tx, accountId)) > maxOwned) throw tooManyOwned()
        const origin = byNewMember(by, owner)
        await report(tx, [
          organizationFact(origin, 'organization.created', null, organization),
          memberFact(origin, 'user.joined', null, owner),
        ])
        return organization
      }),
    find: (key) => store.organizationByIdempotencyKey(db.within({ accountId }), accountId, key),
    // From the body, which is the same: what it is called now is no business of a creator who has left it.
    initialReply: (earlier) => newOrganization(earlier.organizationId, name, earlier.createdAt),
  })
}
