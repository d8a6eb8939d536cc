import type { Clock } from '../../platform/clock.ts'
import { type Db, inTransaction, type Tx } from '../../platform/db.ts'
import { installationId, newId } from '../../platform/ids.ts'
import { Problem } from '../../platform/problem.ts'
import type { IdentityFact } from '../fact.ts'
import type { Permit } from '../factors/step-ups/service.ts'
import { assuranceJson } from '../factors/step-ups/step-up.ts'
import * as people from '../people/store.ts'
import type { User } from '../people/user.ts'
import { actorOf, type Caller, type Person, system } from '../principal.ts'
import { deletionGraceDays, type Organization, requireTransferable } from './organization.ts'
import * as store from './store.ts'

export interface OrganizationDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly report: (tx: Tx, facts: readonly IdentityFact[]) => Promise<void>
  /** Ends every session of the organization's members but the owner's. */
  readonly endSessions: (tx: Tx, organizationId: string, exceptUserId: string) => Promise<void>
  /** A member's role changed: this process must not remember the old one. */
  readonly forget: (userId: string) => void
  /** Throws 409 while the organization must not be deleted (legal hold). */
  readonly requireDeletable: (tx: Tx, organizationId: string) => Promise<void>
}

export type Organizations = ReturnType<typeof createOrganizations>

const rowsAtOnce = 1_000

export function createOrganizations(dependencies: OrganizationDependencies) {
  const { db, clock, report, forget } = dependencies

  const fact = (
    by: Caller<Person> | null,
    organizationId: string,
    kind: string,
    change: Pick<IdentityFact, 'before' | 'after'> & Partial<IdentityFact>,
  ): IdentityFact => ({
    organizationId,
    kind,
    subjectKind: 'organization',
    subjectId: organizationId,
    actor: by === null ? system : actorOf(by.principal),
    httpRequestId: by?.httpRequestId ?? null,
    network: by?.network ?? null,
    occurredAt: clock.now(),
    ...change,
  })

  const lock = async (tx: Tx, organizationId: string): Promise<Organization> => {
    const found = await store.organizationById(tx, organizationId, true)
    if (found === null) throw new Problem(404, 'organization.not_found', 'Organization not found')
    return found
  }

  const change = (
    by: Caller<Person>,
    kind: string,
    decide: (before: Organization) => Organization,
    permit: Permit | null = null,
    also: (tx: Tx, after: Organization) => Promise<void> = async () => {},
  ): Promise<Organization> => {
    const { organizationId, accountId } = by.principal
    return inTransaction(db, { organizationId, accountId }, async (tx) => {
      const before = await lock(tx, organizationId)
      const assurance = permit === null ? {} : { assurance: assuranceJson(await permit.use(tx)) }
      const after = { ...decide(before), updatedAt: clock.now() }
      await store.saveOrganization(tx, after, after.deleteAfter === null ? null : by.principal.userId)
      await also(tx, after)
      const digest = permit === null ? {} : { digest: permit.digest }
      await report(tx, [
        fact(by, organizationId, kind, { before: shown(before), after: { ...shown(after), ...assurance }, ...digest }),
      ])
      return after
    })
  }

  return {
    /** The caller's own, with the role in each. */
    own: (by: Person) => store.organizationsOfAccount(db.within({ accountId: by.accountId }), by.accountId),

    current: async (by: Person): Promise<Organization> => {
      const { organizationId } = by
      const found = await store.organizationById(db.within({ organizationId }), organizationId)
      if (found === null) throw new Problem(404, 'organization.not_found', 'Organization not found')
      return found
    },

    /** A new organization, whose owner the caller is. */
    create: async (by: Caller<Person>, name: string): Promise<Organization> => {
      const { accountId } = by.principal
      const me = await people.userById(
        db.within({ organizationId: by.principal.organizationId }),
        by.principal.organizationId,
        by.principal.userId,
      )
      if (me === null) throw new Problem(404, 'user.not_found', 'User not found')
      const organizationId = newId()
      const now = clock.now()
      const owner: User = { ...me, organizationId, id: newId(), role: 'owner', createdAt: now, updatedAt: now }
      return inTransaction(db, { organizationId, accountId }, async (tx) => {
        await store.insertOrganization(tx, organizationId, name)
        await people.insertUser(tx, owner)
        const actor = { kind: 'person', id: owner.id } as const
        await report(tx, [
          fact(by, organizationId, 'organization.created', { before: null, after: { name }, actor }),
          fact(by, organizationId, 'user.joined', {
            before: null,
            after: { role: 'owner', is_active: true },
            actor,
            subjectKind: 'user',
            subjectId: owner.id,
          }),
        ])
        return lock(tx, organizationId)
      })
    },

    change: (
      by: Caller<Person>,
      changes: { readonly name?: string | undefined; readonly require_step_up?: boolean | undefined },
      permit: Permit,
    ): Promise<Organization> =>
      change(
        by,
        'organization.changed',
        (before) => ({
          ...before,
          name: changes.name ?? before.name,
          requireStepUp: changes.require_step_up ?? before.requireStepUp,
        }),
        permit,
      ),

    /** The owner becomes an admin, the other member the owner: one commit, so there is never a second one. */
    transfer: async (by: Caller<Person>, toId: string, permit: Permit): Promise<void> => {
      const { organizationId, accountId, userId } = by.principal
      await inTransaction(db, { organizationId, accountId }, async (tx) => {
        await lock(tx, organizationId)
        const members = await people.lockUsers(tx, organizationId, [userId, toId], true)
        const me = members.find((member) => member.id === userId)
        const to = members.find((member) => member.id === toId)
        const owner = members.find((member) => member.role === 'owner') ?? null
        if (me === undefined || to === undefined) throw new Problem(404, 'user.not_found', 'User not found')
        requireTransferable(me, owner, to)
        const assurance = assuranceJson(await permit.use(tx))
        const now = clock.now()
        if (owner !== null) await people.saveUser(tx, { ...owner, role: 'admin', updatedAt: now })
        await people.saveUser(tx, { ...to, role: 'owner', updatedAt: now })
        tx.onCommit(() => {
          for (const id of [owner?.id, to.id]) if (id !== undefined) forget(id)
        })
        await report(tx, [
          fact(by, organizationId, 'organization.transferred', {
            before: { owner_id: owner?.id ?? null },
            after: { owner_id: to.id, assurance },
            digest: permit.digest,
          }),
        ])
      })
    },

    /** From now on only the owner gets in; after the days of grace everything goes. */
    requestDeletion: (by: Caller<Person>, name: string, permit: Permit): Promise<Organization> =>
      change(
        by,
        'organization.deletion_requested',
        (before) => {
          if (before.name !== name) {
            const detail = "Send the organization's exact name as `name`, so that nothing is deleted by mistake."
            throw new Problem(422, 'organization.name_differs', detail, {
              errors: [{ path: 'name', message: 'is not the name of this organization' }],
            })
          }
          if (before.deleteAfter !== null) return before
          return { ...before, deleteAfter: new Date(clock.now().getTime() + deletionGraceDays * 86_400_000) }
        },
        permit,
        async (tx) => {
          const { organizationId, userId } = by.principal
          await dependencies.requireDeletable(tx, organizationId)
          await dependencies.endSessions(tx, organizationId, userId)
        },
      ),

    restore: (by: Caller<Person>): Promise<Organization> =>
      change(by, 'organization.restored', (before) => ({ ...before, deleteAfter: null })),

    /** Deletes what is due, a portion at a time; answers whether there is more. Any number of processes may call it. */
    deleteDue: async (): Promise<boolean> => {
      const now = clock.now()
      const due = await store.organizationsToDelete(db.within({ worker: true }), now)
      for (const organizationId of due) {
        const done = await inTransaction(db, { organizationId }, async (tx) => {
          const found = await store.organizationById(tx, organizationId, true)
          if (found?.deleteAfter == null || found.deleteAfter > now) return true
          if ((await store.deleteRows(tx, rowsAtOnce)) > 0) return false
          await store.markDeleted(tx, organizationId, now)
          await report(tx, [fact(null, organizationId, 'organization.deleted', { before: null, after: null })])
          return true
        })
        if (done) await tellInstallation(organizationId)
        if (!done) return true
      }
      return false
    },
  }

  /** The organization's own log is nobody's any more: the operator's says that it is gone. */
  function tellInstallation(organizationId: string): Promise<void> {
    const gone = {
      ...fact(null, installationId, 'organization.deleted', { before: null, after: null }),
      subjectId: organizationId,
    }
    return inTransaction(db, { organizationId: installationId }, (tx) => report(tx, [gone]))
  }
}

function shown(organization: Organization) {
  return {
    name: organization.name,
    require_step_up: organization.requireStepUp,
    delete_after: organization.deleteAfter,
  }
}
