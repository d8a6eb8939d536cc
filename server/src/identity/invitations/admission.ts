import { factBy, type Origin } from '../../facts/fact.ts'
import { inTransaction, type Tx } from '../../platform/database/db.ts'
import { emailKey } from '../accounts/user.ts'
import { hashSecretToken } from '../secret-token.ts'
import type { InvitationContext } from './context.ts'
import { acceptInvitation, type Invitation, type Joining, registrationClosed } from './invitation.ts'
import * as store from './store.ts'

/** Reads without a lock, so that a wrong token costs little: `use` checks again. */
export async function find(
  context: InvitationContext,
  token: string,
  email: string,
  joining: Joining,
): Promise<Invitation> {
  const hash = hashSecretToken(token)
  const found = await store.invitationByToken(context.db.within({ lookUp: hash.toString('hex') }), hash)
  return admit(context, found, email, joining)
}

/** Uses the link up, in the transaction that adds the member. */
export async function use(
  context: InvitationContext,
  tx: Tx,
  found: Invitation,
  email: string,
  joining: Joining,
): Promise<Invitation> {
  const invitation = await lock(context, tx, found, email, joining)
  await store.saveInvitation(tx, { ...invitation, usedAt: context.clock.now() })
  return invitation
}

/**
 * For an address that has an account: from now on only the owner of that account can use the link. A mail tells the owner so.
 * The reply does not tell the caller, because an invitation would then show which addresses have accounts.
 */
export async function reserve(
  context: InvitationContext,
  found: Invitation,
  token: string,
  email: string,
  call: Pick<Origin, 'httpRequestId' | 'network'>,
): Promise<void> {
  const { organizationId, id } = found
  const origin = { ...call, organizationId, actor: { kind: 'anonymous', id: null } } as const
  const letter = await context.mails.hasAccount(found, token, email)
  await inTransaction(context.db, { organizationId }, async (tx) => {
    const invitation = await lock(context, tx, found, email, 'new')
    await store.saveInvitation(tx, { ...invitation, reservedFor: emailKey(email) })
    // Without the address, which is an account's, and not of this organization.
    const occurredAt = context.clock.now()
    await context.report(tx, [factBy(origin, 'invitation.reserved', ['invitation', id], { occurredAt })])
    await context.letters.post(tx, letter)
  })
}

async function lock(
  context: InvitationContext,
  tx: Tx,
  { organizationId, id }: Invitation,
  email: string,
  joining: Joining,
): Promise<Invitation> {
  return admit(context, await store.lockInvitation(tx, organizationId, id), email, joining)
}

/** Throws 403 unless `email` may use it now. The set-up link, which has no creator, works in every mode. */
function admit(
  { clock, registration }: InvitationContext,
  found: Invitation | null,
  email: string,
  joining: Joining,
): Invitation {
  const invitation = acceptInvitation(found, email, joining, clock.now())
  if (registration === 'closed' && invitation.createdBy !== null) throw registrationClosed('closed')
  return invitation
}
