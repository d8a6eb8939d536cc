import { inTransaction } from '../../platform/database/db.ts'
import { Problem } from '../../platform/problem.ts'
import { emailTaken, type User } from '../accounts/user.ts'
import { registrationClosed } from '../invitations/invitation.ts'
import { closing } from '../organizations/organization.ts'
import { organizationById } from '../organizations/store.ts'
import type { RegistrationContext } from './context.ts'
import { addUser, type NewAccount, newUser } from './new-user.ts'
import { ensureOrganization } from './set-up.ts'

export interface Registration extends NewAccount {
  readonly invitation?: string | undefined
}

/** An account by invitation, or as a reviewer where registration is open. Throws 409 for an address that has one in the latter case alone. */
export async function register(
  context: RegistrationContext,
  input: Registration,
  httpRequestId: string,
  network = '',
): Promise<User> {
  const { db, invitations, passwords, registration } = context
  const { email, password, invitation } = input
  context.checkNewPassword(password, email)
  if (invitation === undefined && registration !== 'open') throw registrationClosed(registration)
  // Checked here so that guesses cost no hashing, and again under the lock so that one link lets one person join.
  const invited = invitation === undefined ? null : await invitations.find(invitation, email, 'new')
  // Hashed before the transaction: a quarter of a second of work must not hold locks.
  const passwordHash = await passwords.hash(password, { share: network, known: false })
  const organizationId = invited?.organizationId ?? (await ensureOrganization(context))
  const user = newUser(context, organizationId, input, invited?.role ?? 'reviewer')
  const origin = { organizationId, actor: { kind: 'person', id: user.id }, httpRequestId, network } as const
  return inTransaction(db, { organizationId, accountId: user.accountId }, async (tx) => {
    if (invited === null) {
      const organization = await organizationById(tx, organizationId)
      if (organization === null || organization.deleteAfter !== null) throw closing()
      await addUser(context, tx, user, passwordHash, origin)
    } else {
      const { id: invitationId } = await invitations.use(tx, invited, email, 'new')
      await addUser(context, tx, user, passwordHash, origin, invitationId)
    }
    return user
  }).catch(async (error: unknown) => {
    const isTaken = error instanceof Problem && error.code === emailTaken.code
    if (!isTaken || invited === null || invitation === undefined) throw error
    // The reply is that of a new account: an invitation must not show who has an account here.
    await invitations.reserve(invited, invitation, email, origin)
    return user
  })
}
