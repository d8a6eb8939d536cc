import type { Report } from '../../facts/fact.ts'
import { type Clock, later } from '../../platform/clock.ts'
import { type Db, inTransaction, type Tx } from '../../platform/database/db.ts'
import { memberFact, userNotFound } from '../accounts/member-facts.ts'
import * as store from '../accounts/store.ts'
import type { User } from '../accounts/user.ts'
import { assuranceJson } from '../factors/step-up.ts'
import type { Permit } from '../factors/step-ups/service.ts'
import { requireChangeable } from '../organizations/organization.ts'
import type { Caller, Person, Role } from '../principal.ts'

export interface MemberDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly report: Report
  /** Ends a member's sessions in the organization; the transaction's scope is the organization. */
  readonly endSessions: (tx: Tx, userId: string, by: Caller<Person>) => Promise<void>
  /** Something about a member changed: this process must not remember the old. */
  readonly forget: (userId: string) => void
}

export interface MemberChanges {
  readonly name?: string | null | undefined
  readonly role?: Role | undefined
  readonly isActive?: boolean | undefined
}

export type Members = ReturnType<typeof createMembers>

/** The people of an organization: who there is, what they may do, whether they still may. */
export function createMembers({ db, clock, report, endSessions, forget }: MemberDependencies) {
  return {
    list: async (
      { organizationId }: Person,
      after: string | null,
      limit: number,
    ): Promise<{ readonly items: readonly User[]; readonly hasMore: boolean }> => {
      const found = await store.users(db.within({ organizationId }), organizationId, after, limit + 1)
      return { items: found.slice(0, limit), hasMore: found.length > limit }
    },

    one: async ({ organizationId }: Person, id: string): Promise<User> => {
      const user = await store.userById(db.within({ organizationId }), organizationId, id)
      if (user === null) throw userNotFound()
      return user
    },

    /** Role, name, and whether the person gets in at all; deactivation ends every session in the same commit. */
    change: (by: Caller<Person>, id: string, changes: MemberChanges, permit: Permit): Promise<User> => {
      const { organizationId, accountId, userId } = by.principal
      return inTransaction(db, { organizationId, accountId }, async (tx) => {
        // Both rows: of two administrators who demote each other, the second one is none any more.
        const locked = await store.lockUsers(tx, organizationId, [userId, id])
        const me = locked.find((user) => user.id === userId)
        const before = locked.find((user) => user.id === id)
        if (me === undefined || before === undefined) throw userNotFound()
        const { name = before.name, role = before.role, isActive = before.isActive } = changes
        const after: User = { ...before, name, role, isActive, updatedAt: later(before, clock.now()) }
        requireChangeable(me, before, after)
        if (name === before.name && role === before.role && isActive === before.isActive) return before
        const proof = { digest: permit.digest, assurance: assuranceJson(await permit.use(tx)) }
        await store.saveUser(tx, after)
        if (!isActive) await endSessions(tx, id, by)
        tx.onCommit(() => forget(id))
        await report(tx, [memberFact(by, 'user.changed', before, after, proof)])
        return after
      })
    },
  }
}
