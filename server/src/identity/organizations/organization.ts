import { Problem } from '../../platform/problem.ts'
import type { Role } from '../principal.ts'

/** The rules of organizations, their members and their teams: pure. */

export interface Organization {
  readonly organizationId: string
  readonly name: string
  /** Sensitive acts of its people need an explicit step-up, whatever factors they have. */
  readonly requireStepUp: boolean
  /** After this, everything of it goes; null: it stays. */
  readonly deleteAfter: Date | null
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

const rank: Readonly<Record<Role, number>> = { auditor: 0, reviewer: 0, admin: 1, owner: 2 }

/**
 * Throws unless `by` may make `member` what is asked. Nobody changes themselves, so nobody is locked out by mistake; the
 * owner is changed by handing over only; and an admin makes nobody more than an admin.
 */
export function requireChangeable(by: Member, member: Member, role: Role | undefined): void {
  if (by.id === member.id) {
    throw refused('user.own', 'Nobody changes their own role or deactivates themselves. Ask another administrator.')
  }
  if (member.role === 'owner') {
    throw refused('user.is_owner', 'The owner is changed by handing over the organization only, which the owner does.')
  }
  if (role === 'owner') throw refused('user.not_owner', 'Make somebody the owner with POST /organization/transfer.')
  if (rank[by.role] < 1) throw refused('auth.forbidden', 'Only administrators change members.')
}

/** Throws unless `by` may hand the organization to `to`. Where there is no owner yet, an admin may name one. */
export function requireTransferable(by: Member, owner: Member | null, to: Member): void {
  if (owner !== null && by.id !== owner.id) throw refused('organization.not_owner', 'Only the owner hands over.')
  if (owner === null && by.role !== 'admin')
    throw refused('organization.not_owner', 'Only an admin names the first owner.')
  if (!to.isActive) throw new Problem(409, 'user.inactive', 'This member is deactivated. Activate them first.')
  if (owner !== null && to.id === owner.id) throw new Problem(409, 'user.is_owner', 'This member is the owner already.')
}

/** Managers run every team; a lead runs the own one. */
export function mayRunTeam(role: Role, isLead: boolean): boolean {
  return rank[role] >= 1 || isLead
}

function refused(code: string, detail: string): Problem {
  return new Problem(403, code, detail)
}
