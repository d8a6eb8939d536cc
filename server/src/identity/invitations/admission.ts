import type { Tx } from '../../platform/database/db.ts'
import type { InvitationContext } from './context.ts'
import { acceptInvitation, hashInvitationToken, type Invitation, registrationClosed } from './invitation.ts'
import * as store from './store.ts'

/** Reads without a lock, so that a wrong token costs little: `use` checks again. */
export async function find(context: InvitationContext, token: string, email: string): Promise<Invitation> {
  const hash = hashInvitationToken(token)
  const found = await store.invitationByToken(context.db.within({ lookUp: hash.toString('hex') }), hash)
  return admit(context, found, email)
}

/** Uses the link up, in the transaction that adds the member. */
export async function use(
  context: InvitationContext,
  tx: Tx,
  { organizationId, id }: Invitation,
  email: string,
): Promise<Invitation> {
  const invitation = admit(context, await store.lockInvitation(tx, organizationId, id), email)
  await store.markInvitationUsed(tx, invitation, context.clock.now())
  return invitation
}

/** Throws 403 unless `email` may use it now. The set-up link, which has no creator, works in every mode. */
function admit({ clock, registration }: InvitationContext, found: Invitation | null, email: string): Invitation {
  const invitation = acceptInvitation(found, email, clock.now())
  if (registration === 'closed' && invitation.createdBy !== null) throw registrationClosed('closed')
  return invitation
}
