import type { Tx } from '../../platform/database/db.ts'
import type { EndSessions, IdentityContext } from '../context.ts'
import type { Caller, Person } from '../principal.ts'

export interface OrganizationContext extends IdentityContext {
  /** Called with the id of a member who changed, so that this process looks them up again. */
  readonly forget: (userId: string) => void
  /** If single sign-on is enforced, ends the sessions that were opened another way. The scope is the organization. */
  readonly endSessionsOutsideSso: (tx: Tx, by: Caller<Person>) => Promise<void>
}

/** What the audit, which stands on the floor above, has to do with the deletion of an organization. */
export interface DeletionAudit {
  /** A legal hold: while it lasts nothing of the organization is deleted. */
  readonly isHeld: (tx: Tx, organizationId: string) => Promise<boolean>
  /** Erases a batch of personal data from the organization's events. Returns where to go on; null at the end. */
  readonly eraseFrom: (organizationId: string, from: string | undefined) => Promise<string | null>
}

export interface DeletionContext extends IdentityContext {
  readonly endSessions: EndSessions
  /** Called when it changed who can enter the organization, so that this process looks it up again. */
  readonly forget: (organizationId: string) => void
  readonly audit: DeletionAudit
}
