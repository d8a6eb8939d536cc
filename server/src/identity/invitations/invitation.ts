import { refusal } from '../../platform/problem.ts'
import { emailKey, type GrantableRole } from '../accounts/user.ts'

/** A one-time link that lets one person join with a role; made by an administrator, or at the first start (`createdBy` null). */
export interface Invitation {
  readonly organizationId: string
  readonly id: string
  /** When set, only this address may use the link. */
  readonly email: string | null
  readonly role: GrantableRole
  readonly createdBy: string | null
  readonly expiresAt: Date
  readonly usedAt: Date | null
  /** The key of an address that has an account: its owner alone may use the link, once signed in. */
  readonly reservedFor: string | null
  readonly revokedAt: Date | null
  readonly createdAt: Date
}

export const invitationDays = 7

/** Invitations that an organization, or a person, may have mailed within an hour: more would be a way to write to strangers. */
export const emailsPerHour = 200

export const invitationNotFound = refusal(
  404,
  'invitation.not_found',
  'Invitation not found, or already used or revoked',
)
export const invitationNotValid = refusal(
  403,
  'invitation.not_valid',
  'This invitation is for another address, was used, or has expired. Ask an administrator for a new one; until there is an administrator, the service prints one at each start.',
)
export const tooManyInvitations = refusal(429, 'invitation.too_many', {
  detail: `An organization, and each person, can invite ${emailsPerHour} addresses an hour. Continue in an hour, or create links without an address.`,
  headers: { 'retry-after': '3600' },
})
export const alreadyMember = refusal(
  409,
  'user.already_member',
  'You, or somebody with your address, already belong to this organization. If you cannot enter it, ask an administrator to activate your membership.',
)
export const registrationClosed = refusal(
  403,
  'auth.registration_closed',
  (mode: 'invite' | 'closed') =>
    mode === 'invite'
      ? 'Registration needs an invitation. Ask an administrator for a link.'
      : 'Registration is closed on this installation. Its operator opens it with REGISTRATION=invite or open.',
  'invite',
)

/** new: the address may have no account yet; account: its owner is signed in. */
export type Joining = 'new' | 'account'

/** Throws 403 unless `email` may use the invitation now. One sentence for every cause, so that a guess reveals nothing. */
export function acceptInvitation(
  invitation: Invitation | null,
  email: string,
  joining: Joining,
  now: Date,
): Invitation {
  const fits =
    invitation !== null &&
    invitation.usedAt === null &&
    invitation.revokedAt === null &&
    invitation.expiresAt > now &&
    (invitation.email === null || emailKey(invitation.email) === emailKey(email)) &&
    (invitation.reservedFor === null || (joining === 'account' && invitation.reservedFor === emailKey(email)))
  if (!fits) throw invitationNotValid()
  return invitation
}
