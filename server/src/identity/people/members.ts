import type { Clock } from '../../platform/clock.ts'
import { type Db, inTransaction, type Tx } from '../../platform/db.ts'
import { newId } from '../../platform/ids.ts'
import { Problem } from '../../platform/problem.ts'
import type { IdentityFact } from '../fact.ts'
import type { Permit } from '../factors/step-ups/service.ts'
import { assuranceJson } from '../factors/step-ups/step-up.ts'
import { requireChangeable } from '../organizations/organization.ts'
import { actorOf, type Caller, type Person, type Role } from '../principal.ts'
import { acceptInvitation, hashInvitationToken, type Invitation } from './invitation.ts'
import * as store from './store.ts'
import type { User } from './user.ts'

export interface MemberDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly report: (tx: Tx, facts: readonly IdentityFact[]) => Promise<void>
  /** Ends a member's sessions in the organization; the transaction's scope is the organization. */
  readonly endSessions: (tx: Tx, organizationId: string, userId: string, by: Caller<Person>) => Promise<void>
  /** Something about a member changed: this process must not remember the old. */
  readonly forget: (userId: string) => void
}

export interface MemberChanges {
  readonly name?: string | null | undefined
  readonly role?: Role | undefined
  readonly is_active?: boolean | undefined
}

export type Members = ReturnType<typeof createMembers>

/** The people of an organization: who there is, what they may do, whether they still may. */
export function createMembers(dependencies: MemberDependencies) {
  const { db, clock, report, forget, endSessions } = dependencies

  const factOf = (by: Caller<Person>, user: User, kind: string, change: Partial<IdentityFact>): IdentityFact => ({
    organizationId: user.organizationId,
    kind,
    subjectKind: 'user',
    subjectId: user.id,
    actor: actorOf(by.principal),
    httpRequestId: by.httpRequestId,
    network: by.network ?? null,
    before: null,
    after: null,
    occurredAt: clock.now(),
    ...change,
  })

  return {
    list: async (
      by: Person,
      after: string | null,
      limit: number,
    ): Promise<{ readonly items: readonly User[]; readonly hasMore: boolean }> => {
      const { organizationId } = by
      const found = await store.users(db.within({ organizationId }), organizationId, after, limit + 1)
      return { items: found.slice(0, limit), hasMore: found.length > limit }
    },

    one: async (by: Person, id: string): Promise<User> => {
      const { organizationId } = by
      const user = await store.userById(db.within({ organizationId }), organizationId, id)
      if (user === null) throw userNotFound()
      return user
    },

    /** Role, name, and whether the person gets in at all; deactivation ends every session in the same commit. */
    change: async (by: Caller<Person>, id: string, changes: MemberChanges, permit: Permit): Promise<User> => {
      const { organizationId, accountId, userId } = by.principal
      return inTransaction(db, { organizationId, accountId }, async (tx) => {
        const locked = await store.lockUsers(tx, organizationId, [userId, id])
        const me = locked.find((user) => user.id === userId)
        const before = locked.find((user) => user.id === id)
        if (me === undefined || before === undefined) throw userNotFound()
        const now = clock.now()
        const after: User = {
          ...before,
          name: changes.name === undefined ? before.name : changes.name,
          role: changes.role ?? before.role,
          isActive: changes.is_active ?? before.isActive,
          updatedAt: new Date(Math.max(now.getTime(), before.updatedAt.getTime() + 1)),
        }
        requireChangeable(me, before, changes.role)
        const assurance = assuranceJson(await permit.use(tx))
        await store.saveUser(tx, after)
        if (!after.isActive) await endSessions(tx, organizationId, id, by)
        tx.onCommit(() => forget(id))
        await report(tx, [
          factOf(by, after, 'user.changed', {
            before: { role: before.role, is_active: before.isActive },
            after: { role: after.role, is_active: after.isActive, assurance },
            digest: permit.digest,
            ...(before.name === after.name ? {} : { erasable: { name_before: before.name, name_after: after.name } }),
          }),
        ])
        return after
      })
    },

    openInvitations: (by: Person): Promise<readonly Invitation[]> => {
      const { organizationId } = by
      return store.openInvitations(db.within({ organizationId }), organizationId, clock.now())
    },

    revokeInvitation: async (by: Caller<Person>, id: string): Promise<void> => {
      const { organizationId } = by.principal
      await inTransaction(db, { organizationId }, async (tx) => {
        const now = clock.now()
        if (!(await store.revokeInvitation(tx, organizationId, id, now))) {
          throw new Problem(404, 'invitation.not_found', 'Invitation not found, used, or revoked already')
        }
        await report(tx, [
          {
            organizationId,
            kind: 'invitation.revoked',
            subjectKind: 'invitation',
            subjectId: id,
            actor: actorOf(by.principal),
            httpRequestId: by.httpRequestId,
            before: null,
            after: null,
            occurredAt: now,
          },
        ])
      })
    },

    /** A signed-in person becomes a member of another organization by its link. */
    join: async (by: Caller<Person>, token: string): Promise<User> => {
      const { accountId } = by.principal
      const hash = hashInvitationToken(token)
      const known = await store.invitationByToken(db.within({ lookUp: hash.toString('hex') }), hash)
      const own = await store.usersOfAccount(db.within({ accountId }), accountId)
      const me = own.find((user) => user.id === by.principal.userId)
      if (me === undefined) throw userNotFound()
      const { organizationId } = acceptInvitation(known, me.email, clock.now())
      return inTransaction(db, { organizationId, accountId }, async (tx) => {
        const now = clock.now()
        const locked = known === null ? null : await store.lockInvitation(tx, organizationId, known.id)
        const invitation = acceptInvitation(locked, me.email, now)
        const user: User = {
          ...me,
          organizationId,
          id: newId(),
          role: invitation.role,
          isActive: true,
          createdAt: now,
          updatedAt: now,
        }
        if (!(await store.insertUser(tx, user))) {
          throw new Problem(409, 'user.already_member', 'You are a member of this organization already.')
        }
        await store.markInvitationUsed(tx, invitation, now)
        const after = { role: user.role, is_active: true, invitation_id: invitation.id }
        await report(tx, [factOf(by, user, 'user.joined', { after, actor: { kind: 'person', id: user.id } })])
        return user
      })
    },
  }
}

function userNotFound(): Problem {
  return new Problem(404, 'user.not_found', 'User not found')
}
