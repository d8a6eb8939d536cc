import { later } from '../../platform/clock.ts'
import { inTransaction } from '../../platform/database/db.ts'
import { type Page, pageOf } from '../../platform/page.ts'
import { memberFact } from '../accounts/member-facts.ts'
import * as store from '../accounts/store.ts'
import { type User, userNotFound } from '../accounts/user.ts'
import type { EndSessions, IdentityContext } from '../context.ts'
import type { Permit } from '../factors/step-ups/service.ts'
import { usePermit } from '../factors/step-ups/use-permit.ts'
import { requireChangeable } from '../organizations/organization.ts'
import { byCaller, type Caller, type Person, type Role } from '../principal.ts'

export interface MemberDependencies extends IdentityContext {
  readonly endSessions: EndSessions
  /** Called with the id of a member who changed, so that this process looks them up again. */
  readonly forget: (userId: string) => void
}

export interface MemberChanges {
  readonly name?: string | null | undefined
  readonly role?: Role | undefined
  readonly isActive?: boolean | undefined
}

export type Members = ReturnType<typeof createMembers>

export function createMembers({ db, clock, report, endSessions, forget }: MemberDependencies) {
  return {
    list: async ({ organizationId }: Person, after: string | null, limit: number): Promise<Page<User>> =>
      pageOf(await store.users(db.within({ organizationId }), organizationId, after, limit + 1), limit),

    one: async ({ organizationId }: Person, id: string): Promise<User> => {
      const user = await store.userById(db.within({ organizationId }), organizationId, id)
      if (user === null) throw userNotFound()
      return user
    },

    /** Changes the role or name, deactivates or activates; deactivation ends every session in the same commit. */
    change: (by: Caller<Person>, id: string, changes: MemberChanges, permit: Permit): Promise<User> => {
      const { organizationId, accountId, userId } = by.principal
      return inTransaction(db, { organizationId, accountId }, async (tx) => {
        // Lock both rows: if two administrators demote each other, the second is no longer an administrator.
        const locked = await store.lockUsers(tx, organizationId, [userId, id])
        const me = locked.find((user) => user.id === userId)
        const before = locked.find((user) => user.id === id)
        if (me === undefined || before === undefined) throw userNotFound()
        const { name = before.name, role = before.role, isActive = before.isActive } = changes
        const after: User = { ...before, name, role, isActive, updatedAt: later(before, clock.now()) }
        requireChangeable(me, before, after)
        if (name === before.name && role === before.role && isActive === before.isActive) return before
        const used = await usePermit(tx, permit)
        await store.saveUser(tx, after)
        if (!isActive) await endSessions(tx, { organizationId, userId: id }, 'deactivated', byCaller(by))
        tx.onCommit(() => forget(id))
        await report(tx, [memberFact(byCaller(by), 'user.changed', before, after, used)])
        return after
      })
    },
  }
}
