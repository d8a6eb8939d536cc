import { invalid, Problem } from '../../platform/problem.ts'
import type { Person, Role } from '../principal.ts'

/** The rules of organizations, their members and their teams: pure. */

export interface Organization {
  readonly organizationId: string
  readonly name: string
  /** Sensitive acts of its people need an explicit step-up, whatever factors they have. */
  readonly requireStepUp: boolean
  /** After this, everything of it goes; null: it stays. */
  readonly deleteAfter: Date | null
  /** The owner who asked for it. */
  readonly deletionRequestedBy: string | null
  readonly createdAt: Date
  readonly updatedAt: Date
}

export interface Member {
  readonly id: string
  readonly role: Role
  readonly isActive: boolean
}

/** An organization is gone this many days after its owner asked for it. */
export const deletionGraceDays = 30

/** Enough for a consultancy, and a bound for what one account can fill the installation with. */
export const maxOwned = 50

const managers: readonly Role[] = ['admin', 'owner']

function isManager({ role, isActive }: Member): boolean {
  return isActive && managers.includes(role)
}

/**
 * Throws 403 unless `by` may make `before` into `after`. Nobody changes their own rights, so nobody is locked out by mistake
 * and one manager always stays; the owner becomes somebody else by handing over only.
 */
export function requireChangeable(by: Member, before: Member, after: Member): void {
  const changesRights = before.role !== after.role || before.isActive !== after.isActive
  if (!isManager(by)) throw refused('auth.forbidden', 'Only administrators change members.')
  if (before.role === 'owner' && by.id !== before.id) {
    throw refused('user.is_owner', 'The owner is changed by handing over the organization only, which the owner does.')
  }
  if (by.id === before.id && changesRights) {
    throw refused('user.own', 'Nobody changes their own role or deactivates themselves. Ask another administrator.')
  }
  if (after.role === 'owner' && before.role !== 'owner') {
    throw refused('user.not_owner', 'Make somebody the owner with POST /api/v1/organization/transfer.')
  }
}

/**
 * Throws unless `by` may hand the organization to `to`, who is null when there is no such member. Where there is no owner yet,
 * an admin may name one. Who may not hand over at all is not told who there is.
 */
export function requireTransferable(by: Member, owner: Member | null, to: Member | null): asserts to is Member {
  if (!isManager(by)) throw refused('auth.forbidden', 'Only administrators do this.')
  if (owner !== null && by.id !== owner.id) throw refused('organization.not_owner', 'Only the owner hands over.')
  if (to === null) throw new Problem(404, 'user.not_found', 'User not found')
  if (to.id === owner?.id) throw new Problem(409, 'user.is_owner', 'This member is the owner already.')
  if (!to.isActive) throw new Problem(409, 'user.inactive', 'This member is deactivated. Activate them first.')
}

/** Managers run every team, a lead the own one. An auditor only reads, whatever team lists them. */
export function mayRunTeam(role: Role, isLead: boolean): boolean {
  return managers.includes(role) || (isLead && role === 'reviewer')
}

/** The organization with its end set; itself when it was set before. Throws unless its name was spelled out. */
export function deletionOf(before: Organization, by: Member, name: string, now: Date): Organization {
  requireOwner(by)
  if (before.name !== name) {
    throw invalid(
      'name',
      'is not the name of this organization: send it exactly, so that nothing is deleted by mistake',
    )
  }
  if (before.deleteAfter !== null) return before
  const deleteAfter = new Date(now.getTime() + deletionGraceDays * 86_400_000)
  return { ...before, deleteAfter, deletionRequestedBy: by.id }
}

/** The organization without its end; itself when none was set. */
export function restorationOf(before: Organization, by: Member): Organization {
  requireOwner(by)
  return before.deleteAfter === null ? before : { ...before, deleteAfter: null, deletionRequestedBy: null }
}

function requireOwner(by: Member): void {
  if (by.role !== 'owner' || !by.isActive) throw refused('organization.not_owner', 'Only the owner does this.')
}

/**
 * An identity provider speaks for its own organization: whoever came in by its word alone opens no other one, nor does
 * anything else in the account's name. Its administrators could come in as any of their members.
 */
export function isWordOfProvider({ signIn }: Pick<Person, 'signIn'>): boolean {
  return signIn?.methods.includes('oidc') === true
}

/** Throws 403 for whoever came in by a provider's word. */
export function requireOwnSignIn(by: Pick<Person, 'signIn'>): void {
  if (!isWordOfProvider(by)) return
  const detail =
    "You came in by your organization's identity provider, which opens this organization only. Sign out, then sign in otherwise."
  throw refused('sso.other_organization', detail)
}

/** 403 at the door of an organization whose days are counted. */
export function closing(): Problem {
  const detail = 'This organization is being deleted. Only its owner gets in, who can restore it.'
  return refused('organization.closing', detail)
}

export function organizationNotFound(): Problem {
  return new Problem(404, 'organization.not_found', 'Organization not found')
}

function refused(code: string, detail: string): Problem {
  return new Problem(403, code, detail)
}
