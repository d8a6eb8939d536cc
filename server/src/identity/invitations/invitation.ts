import { createHash, randomBytes } from 'node:crypto'
import { Problem } from '../../platform/problem.ts'
import { emailKey } from '../accounts/user.ts'
import type { Role } from '../principal.ts'

/** A one-time link that lets one person in with a role; made by an admin, or by the first start (`createdBy` null). */
export interface Invitation {
  readonly organizationId: string
  readonly id: string
  /** When set, only this address may use the link. */
  readonly email: string | null
  readonly role: Exclude<Role, 'owner'>
  readonly createdBy: string | null
  readonly expiresAt: Date
  readonly usedAt: Date | null
  readonly revokedAt: Date | null
  readonly createdAt: Date
}

export const invitationDays = 7

/** Letters that an organization's invitations may send within an hour: more would be a way to write to strangers. */
export const lettersPerHour = 200

/** 256 random (or derived) bits, so only a fast hash needs to be stored. */
export function mintInvitationToken(secret: Buffer = randomBytes(32)): string {
  return secret.toString('base64url')
}

export function hashInvitationToken(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}

/** Throws 403 unless the invitation lets `email` in now. One text for every cause: a guessed link teaches nothing. */
export function acceptInvitation(invitation: Invitation | null, email: string, now: Date): Invitation {
  const fits =
    invitation !== null &&
    invitation.usedAt === null &&
    invitation.revokedAt === null &&
    invitation.expiresAt > now &&
    (invitation.email === null || emailKey(invitation.email) === emailKey(email))
  if (fits) return invitation
  throw new Problem(
    403,
    'invitation.not_valid',
    'This invitation is not valid for this address, was used, or has expired. Ask an administrator for a new one; before there is any, the service prints one at each start.',
  )
}
