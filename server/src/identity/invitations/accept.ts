import { inTransaction } from '../../platform/database/db.ts'
import { newId } from '../../platform/ids.ts'
import { accountById } from '../accounts/account-link-store.ts'
import { byNewMember, memberFact } from '../accounts/member-facts.ts'
import * as people from '../accounts/store.ts'
import { type User, userNotFound } from '../accounts/user.ts'
import { requireOwnSignIn } from '../organizations/organization.ts'
import type { Caller, Person } from '../principal.ts'
import { find, use } from './admission.ts'
import type { InvitationContext } from './context.ts'
import { alreadyMember } from './invitation.ts'

/** A signed-in person joins another organization by its link. */
export async function accept(context: InvitationContext, by: Caller<Person>, token: string): Promise<User> {
  const { db, clock, report } = context
  requireOwnSignIn(by.principal)
  const { accountId, organizationId: here, userId } = by.principal
  // The account's own address: a membership's may be what somebody's identity provider says it is.
  const account = await accountById(db.within({ accountId }), accountId)
  const me = await people.userById(db.within({ organizationId: here }), here, userId)
  if (account === null || me === null) throw userNotFound()
  const { email } = account
  const found = await find(context, token, email, 'account')
  const { organizationId } = found
  return inTransaction(db, { organizationId, accountId }, async (tx) => {
    const { id: invitationId, role } = await use(context, tx, found, email, 'account')
    const now = clock.now()
    const added = { organizationId, id: newId(), email, role, isActive: true, createdAt: now, updatedAt: now }
    const member: User = { ...me, ...added }
    if (!(await people.insertUser(tx, member))) throw alreadyMember()
    await report(tx, [memberFact(byNewMember(by, member), 'user.joined', null, member, { invitationId })])
    return member
  })
}
