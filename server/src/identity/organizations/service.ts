import type { Actor, Fact, Report } from '../../facts/fact.ts'
import { type Clock, later } from '../../platform/clock.ts'
import { type Db, inTransaction, type Tx } from '../../platform/database/db.ts'
import { type CreatedOnce, createOnce, type Idempotency } from '../../platform/idempotency.ts'
import { newId } from '../../platform/ids.ts'
import { Problem } from '../../platform/problem.ts'
import * as accounts from '../accounts/account-link-store.ts'
import { memberFact, userNotFound } from '../accounts/member-facts.ts'
import * as people from '../accounts/store.ts'
import type { User } from '../accounts/user.ts'
import { assuranceJson } from '../factors/step-up.ts'
import type { Permit } from '../factors/step-ups/service.ts'
import type { Caller, Person } from '../principal.ts'
import { organizationFact } from './facts.ts'
import {
  isWordOfProvider,
  maxOwned,
  type Organization,
  organizationNotFound,
  requireOwnSignIn,
  requireTransferable,
} from './organization.ts'
import * as store from './store.ts'

export interface OrganizationDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly report: Report
  /** Something about a member changed: this process must not remember the old. */
  readonly forget: (userId: string) => void
  /** Where single sign-on is enforced, ends the sessions of who did not come in by it and must; the scope is the organization. */
  readonly endSessionsOutsideSso: (tx: Tx, by: Caller<Person>) => Promise<void>
}

export interface OrganizationChanges {
  readonly name?: string | undefined
  readonly requireStepUp?: boolean | undefined
}

export type Organizations = ReturnType<typeof createOrganizations>

export function createOrganizations(dependencies: OrganizationDependencies) {
  const { db, clock, report, forget, endSessionsOutsideSso } = dependencies

  const newOrganization = (name: string): Organization => {
    const now = clock.now()
    const organizationId = newId()
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

  /** The person as the first member of a new organization. */
  const ownerOf = async ({ organizationId, createdAt }: Organization, by: Person): Promise<User> => {
    const { accountId } = by
    const me = await people.userById(db.within({ organizationId: by.organizationId }), by.organizationId, by.userId)
    // The account's own address: the one of a membership may be what somebody's identity provider says it is.
    const account = await accounts.accountById(db.within({ accountId }), accountId)
    if (me === null || account === null) throw userNotFound()
    const { email } = account
    return { ...me, organizationId, id: newId(), email, role: 'owner', createdAt, updatedAt: createdAt }
  }

  return {
    /** Those the caller can enter, with the role in each. */
    own: async (by: Person): Promise<readonly store.OwnMembership[]> => {
      const found = await store.organizationsOfAccount(db.within({ accountId: by.accountId }), by.accountId)
      if (!isWordOfProvider(by)) return found
      return found.filter(({ organization }) => organization.organizationId === by.organizationId)
    },

    current: async ({ organizationId }: Person): Promise<Organization> => {
      const found = await store.organizationById(db.within({ organizationId }), organizationId)
      if (found === null) throw organizationNotFound()
      return found
    },

    /** A new organization, whose owner the caller is. */
    create: async (
      by: Caller<Person>,
      name: string,
      idempotency: Idempotency | null,
    ): Promise<CreatedOnce<Organization>> => {
      requireOwnSignIn(by.principal)
      const { accountId } = by.principal
      const organization = newOrganization(name)
      const { organizationId } = organization
      const owner = await ownerOf(organization, by.principal)
      return createOnce(idempotency, {
        insert: () =>
          inTransaction(db, { organizationId, accountId }, async (tx) => {
            // One after the other: they are counted.
            await accounts.lockAccount(tx, accountId)
            if (!(await store.insertOrganization(tx, organization, { createdBy: accountId, idempotency }))) return null
            await people.insertUser(tx, owner)
            if ((await people.countOwned(tx, accountId)) > maxOwned) throw tooMany()
            // As the new organization knows them: the session they are in is another one's.
            const actor: Actor = { kind: 'person', id: owner.id, signedInWith: by.principal.signIn?.methods ?? [] }
            await report(tx, [
              organizationFact(by, 'organization.created', null, organization, { actor }),
              memberFact(by, 'user.joined', null, owner, { actor }),
            ])
            return organization
          }),
        find: (key) => store.organizationByIdempotencyKey(db.within({ accountId }), accountId, key),
        initialReply,
      })
    },

    change: (by: Caller<Person>, changes: OrganizationChanges, permit: Permit): Promise<Organization> => {
      const { organizationId, accountId } = by.principal
      return inTransaction(db, { organizationId, accountId }, async (tx) => {
        const before = await store.organizationById(tx, organizationId, true)
        if (before === null) throw organizationNotFound()
        const { name = before.name, requireStepUp = before.requireStepUp } = changes
        if (name === before.name && requireStepUp === before.requireStepUp) return before
        const assurance = assuranceJson(await permit.use(tx))
        const after = { ...before, name, requireStepUp, updatedAt: later(before, clock.now()) }
        await store.saveOrganization(tx, after)
        const { digest } = permit
        await report(tx, [organizationFact(by, 'organization.changed', before, after, { digest, assurance })])
        return after
      })
    },

    /**
     * The owner becomes an admin, the other member the owner: one commit behind the organization's lock, so that there is
     * never a second one, whoever races. The former owner's sessions go on as far as an admin's may.
     */
    transfer: async (by: Caller<Person>, toId: string, permit: Permit): Promise<void> => {
      const { organizationId, accountId, userId } = by.principal
      await inTransaction(db, { organizationId, accountId }, async (tx) => {
        const organization = await store.organizationById(tx, organizationId, true)
        if (organization === null) throw organizationNotFound()
        const members = await people.lockUsers(tx, organizationId, [userId, toId], true)
        const me = members.find((member) => member.id === userId)
        const owner = members.find((member) => member.role === 'owner') ?? null
        const to = members.find((member) => member.id === toId) ?? null
        if (me === undefined) throw userNotFound()
        requireTransferable(me, owner, to)
        const proof = { digest: permit.digest, assurance: assuranceJson(await permit.use(tx)) }
        const handOver = async (before: User, role: 'admin' | 'owner'): Promise<Fact> => {
          const after: User = { ...before, role, updatedAt: later(before, clock.now()) }
          await people.saveUser(tx, after)
          tx.onCommit(() => forget(after.id))
          return memberFact(by, 'user.changed', before, after, proof)
        }
        // In this order: PostgreSQL too knows of one owner at most.
        const changed = owner === null ? [] : [await handOver(owner, 'admin')]
        changed.push(await handOver(to, 'owner'))
        await report(tx, [
          {
            ...organizationFact(by, 'organization.transferred', organization, organization, proof),
            before: { owner_id: owner?.id ?? null },
            after: { owner_id: to.id, assurance: proof.assurance },
            occurredAt: clock.now(),
          },
          ...changed,
        ])
        await endSessionsOutsideSso(tx, by)
      })
    },
  }
}

/** What the reply to its making said. */
function initialReply(organization: Organization): Organization {
  return { ...organization, requireStepUp: false, deleteAfter: null, updatedAt: organization.createdAt }
}

function tooMany(): Problem {
  const detail = `You own ${maxOwned} organizations, which is the most. Hand one over, or delete one that is not needed.`
  return new Problem(409, 'organization.too_many', detail)
}
