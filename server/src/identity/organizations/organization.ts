import { forbidden } from '../../http/refusals.ts'
import { invalid, refusal } from '../../platform/problem.ts'
import { userInactive, userNotFound } from '../accounts/user.ts'
import type { Person, Role } from '../principal.ts'

/** The rules of organizations, their members and their teams: pure. */

export interface Organization {
  readonly organizationId: string
  readonly name: string
  /** Sensitive acts of its people need an explicit step-up, whatever factors they have. */
  readonly requireStepUp: boolean
  /** When everything in it is deleted; null: it stays. */
  readonly deleteAfter: Date | null
  /** The owner who asked for it. */
  readonly deletionRequestedBy: string | null
  readonly createdAt: Date
  readonly updatedAt: Date
}

export interface OrganizationMember {
  readonly id: string
  readonly role: Role
  readonly isActive: boolean
}

/** Days between an owner's request to delete an organization and the deletion. */
export const deletionGraceDays = 30

/**
 * Between the begin of a deletion and its work: longer than any call lasts that was let in before, and than a refused one
 * waits to be written, so that none leaves something behind.
 */
export const deletionQuietMinutes = 15

/** Enough for a consultancy, and a bound for what one account can fill the installation with. */
export const maxOwned = 50

export const organizationNotFound = refusal(
  404,
  'organization.not_found',
  (detail?: string) => detail ?? 'Organization not found',
)
export const tooManyOwned = refusal(
  409,
  'organization.too_many',
  `You already own ${maxOwned} organizations, the maximum. Hand one over, or delete one that is not needed.`,
)
export const notOwner = refusal(403, 'organization.not_owner', 'Only the owner can do this.')
/** At the door of an organization in its days of grace. */
export const closing = refusal(
  403,
  'organization.closing',
  'This organization is being deleted. Only its owner can enter it, and restore it.',
)
export const isOwner = refusal(
  403,
  'user.is_owner',
  'This member is the owner, and stays the owner until they hand the organization over to another member.',
)
export const notOwnRights = refusal(
  403,
  'user.own',
  'You cannot change your own role or deactivate yourself. Ask another administrator.',
)
export const ownerByTransferOnly = refusal(403, 'user.not_owner', {
  detail: 'Transfer the organization to this member instead: only that makes an owner.',
  extra: { how: 'Send POST /api/v1/organization/transfer.' },
})
export const otherOrganization = refusal(
  403,
  'sso.other_organization',
  "You signed in through your organization's identity provider, which opens this organization only. Sign out, then sign in another way.",
)

const managers: readonly Role[] = ['admin', 'owner']

function requireManager({ role, isActive }: OrganizationMember): void {
  if (!isActive || !managers.includes(role)) throw forbidden('the access token of an administrator: admin or owner')
}

export function newOrganization(organizationId: string, name: string, now: Date): Organization {
  return {
    organizationId,
    name,
    requireStepUp: false,
    deleteAfter: null,
    deletionRequestedBy: null,
    createdAt: now,
    updatedAt: now,
  }
}

/**
 * Throws 403 unless `by` may make `before` into `after`. Nobody changes their own rights, so nobody is locked out by mistake
 * and one manager always stays; the owner changes by handing over only.
 */
export function requireChangeable(by: OrganizationMember, before: OrganizationMember, after: OrganizationMember): void {
  const changesRights = before.role !== after.role || before.isActive !== after.isActive
  requireManager(by)
  if (before.role === 'owner' && by.id !== before.id) throw isOwner()
  if (by.id === before.id && changesRights) throw notOwnRights()
  if (after.role === 'owner' && before.role !== 'owner') throw ownerByTransferOnly()
}

/**
 * Throws unless `by` may hand the organization to `to`, who is null when there is no such member. Where there is no owner yet,
 * an admin may name one. A caller that may not hand over does not learn which members exist.
 */
export function requireTransferable(
  by: OrganizationMember,
  owner: OrganizationMember | null,
  to: OrganizationMember | null,
): asserts to is OrganizationMember {
  requireManager(by)
  if (owner !== null && by.id !== owner.id) throw notOwner()
  if (to === null) throw userNotFound()
  if (to.id === owner?.id) throw isOwner()
  if (!to.isActive) throw userInactive()
}

/** Managers run every team, a lead only their own. An auditor only reads, even as a lead. */
export function mayRunTeam(role: Role, isLead: boolean): boolean {
  return managers.includes(role) || (isLead && role === 'reviewer')
}

/** The organization with the date of its deletion, which stays when there is one. Throws unless `name` is its exact name. */
export function deletionOf(before: Organization, by: OrganizationMember, name: string, now: Date): Organization {
  requireOwner(by)
  if (before.name !== name) {
    throw invalid('name', "is not this organization's name: send it exactly, so that nothing is deleted by mistake")
  }
  if (before.deleteAfter !== null) return before
  const deleteAfter = new Date(now.getTime() + deletionGraceDays * 86_400_000)
  return { ...before, deleteAfter, deletionRequestedBy: by.id }
}

/** The organization without a date of deletion; itself when there was none. */
export function restorationOf(before: Organization, by: OrganizationMember): Organization {
  requireOwner(by)
  return before.deleteAfter === null ? before : { ...before, deleteAfter: null, deletionRequestedBy: null }
}

function requireOwner(by: OrganizationMember): void {
  if (by.role !== 'owner' || !by.isActive) throw notOwner()
}

/**
 * An identity provider vouches for its own organization only: its administrators could sign in as any of their members. A
 * person who signed in through it alone enters no other organization, and does nothing in the account's name.
 */
export function isWordOfProvider({ signIn }: Pick<Person, 'signIn'>): boolean {
  return signIn?.methods.includes('oidc') === true
}

/** Throws 403 for a person who signed in through an identity provider. */
export function requireOwnSignIn(by: Pick<Person, 'signIn'>): void {
  if (isWordOfProvider(by)) throw otherOrganization()
}
