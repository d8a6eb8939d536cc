import type { Fact, Report } from '../../facts/fact.ts'
import type { EventKind } from '../../facts/kinds.ts'
import { type Clock, later } from '../../platform/clock.ts'
import { type Db, inTransaction, type Tx } from '../../platform/database/db.ts'
import { installationId } from '../../platform/ids.ts'
import { Problem } from '../../platform/problem.ts'
import { enterOrganization } from '../accounts/account-link-store.ts'
import { userNotFound } from '../accounts/member-facts.ts'
import * as people from '../accounts/store.ts'
import { assuranceJson } from '../factors/step-up.ts'
import type { Permit } from '../factors/step-ups/service.ts'
import type { Caller, Person } from '../principal.ts'
import { organizationFact } from './facts.ts'
import { deletionOf, type Member, type Organization, organizationNotFound, restorationOf } from './organization.ts'
import * as store from './store.ts'

/** What the audit, which stands on the floor above, has to do with an organization's end. */
export interface AuditAtTheEnd {
  /** A legal hold: while it lasts nothing of the organization is deleted. */
  readonly isHeld: (tx: Tx, organizationId: string) => Promise<boolean>
  /**
   * Erases a portion of what can be erased of the organization's events, and answers where to go on; null when it came to the
   * end. Begins at the beginning without `from`.
   */
  readonly eraseFrom: (organizationId: string, from: string | undefined) => Promise<string | null>
}

export interface DeletionDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly report: Report
  /** Ends every session in the organization but the caller's own ones. */
  readonly endOtherSessions: (tx: Tx, by: Caller<Person>) => Promise<void>
  /** This process must not remember who may get into the organization. */
  readonly forget: (organizationId: string) => void
  readonly audit: AuditAtTheEnd
}

export type OrganizationDeletion = ReturnType<typeof createOrganizationDeletion>

/** Per transaction, so that none is long: rows of any table, and members with their accounts. */
const rowsAtOnce = 1_000
const membersAtOnce = 100

export function createOrganizationDeletion(dependencies: DeletionDependencies) {
  const { db, clock, report, audit, forget } = dependencies

  /** How far the audit of an organization was gone through; a process that begins anew begins at the beginning. */
  const erasedTo = new Map<string, string>()

  const timerFact = (
    subjectKind: 'organization' | 'user',
    subjectId: string,
    of: Pick<Fact, 'organizationId' | 'kind' | 'before' | 'after'>,
  ): Fact => ({
    ...of,
    subjectKind,
    subjectId,
    actor: { kind: 'timer', id: null },
    httpRequestId: null,
    occurredAt: clock.now(),
  })

  const decide = (
    by: Caller<Person>,
    kind: EventKind,
    rule: (before: Organization, me: Member) => Organization,
    permit: Permit | null,
    also: (tx: Tx) => Promise<void>,
  ): Promise<Organization> => {
    const { organizationId, accountId, userId } = by.principal
    return inTransaction(db, { organizationId, accountId }, async (tx) => {
      const before = await store.organizationById(tx, organizationId, true)
      if (before === null) throw organizationNotFound()
      // Behind the lock that handing over takes too: whoever is the owner here is it until the end.
      const me = await people.userById(tx, organizationId, userId)
      if (me === null) throw userNotFound()
      const decided = rule(before, me)
      if (decided === before) return before
      const after = { ...decided, updatedAt: later(before, clock.now()) }
      await also(tx)
      const proof = permit === null ? {} : { digest: permit.digest, assurance: assuranceJson(await permit.use(tx)) }
      await store.saveOrganization(tx, after)
      tx.onCommit(() => forget(organizationId))
      await report(tx, [organizationFact(by, kind, before, after, proof)])
      return after
    })
  }

  /** From here on nobody gets in, and nothing brings the organization back. */
  const begin = async (tx: Tx, organizationId: string): Promise<void> => {
    await store.markDeleted(tx, organizationId, clock.now())
    tx.onCommit(() => forget(organizationId))
    const of = { organizationId, kind: 'organization.deletion_begun', before: null, after: null } as const
    await report(tx, [timerFact('organization', organizationId, of)])
  }

  /** Some members, and the accounts that belong to no organization without them; answers how many members. */
  const deleteMembers = async (tx: Tx, organizationId: string): Promise<number> => {
    const members = await people.deleteUsers(tx, organizationId, membersAtOnce)
    const facts: Fact[] = []
    for (const { id, accountId, role } of members) {
      const after = { account_deleted: await people.deleteLoneAccount(tx, accountId) }
      facts.push(timerFact('user', id, { organizationId, kind: 'user.deleted', before: { role }, after }))
    }
    if (facts.length > 0) await report(tx, facts)
    return members.length
  }

  /** Nothing is left: the organization's own log says so, which nobody of it reads any more, and the installation's. */
  const finish = async (tx: Tx, organizationId: string): Promise<void> => {
    await store.markCleared(tx, organizationId, clock.now())
    const gone = { kind: 'organization.deleted', before: null, after: null } as const
    await report(tx, [timerFact('organization', organizationId, { ...gone, organizationId })])
    await enterOrganization(tx, installationId)
    await report(tx, [timerFact('organization', organizationId, { ...gone, organizationId: installationId })])
  }

  /** One transaction's worth of an organization's end; answers whether to go on with it. */
  const deleteSome = async (organizationId: string): Promise<boolean> => {
    const now = clock.now()
    const step = await inTransaction(db, { organizationId }, async (tx) => {
      const due = await store.lockDue(tx, organizationId, now)
      if (due === null || (await audit.isHeld(tx, organizationId))) return 'left'
      if (!due.isBegun) {
        await begin(tx, organizationId)
        return 'some'
      }
      if ((await store.deleteRows(tx, rowsAtOnce)) > 0) return 'some'
      return (await deleteMembers(tx, organizationId)) > 0 ? 'some' : 'only the audit'
    })
    if (step !== 'only the audit') return step === 'some'
    const erased = await audit.eraseFrom(organizationId, erasedTo.get(organizationId))
    if (erased !== null) {
      erasedTo.set(organizationId, erased)
      return true
    }
    erasedTo.delete(organizationId)
    await inTransaction(db, { organizationId }, async (tx) => {
      if ((await store.lockDue(tx, organizationId, now)) !== null) await finish(tx, organizationId)
    })
    return false
  }

  return {
    /** From now on only the owner gets in; after the days of grace everything goes. */
    request: (by: Caller<Person>, name: string, permit: Permit): Promise<Organization> =>
      decide(
        by,
        'organization.deletion_requested',
        (before, me) => deletionOf(before, me, name, clock.now()),
        permit,
        async (tx) => {
          if (await audit.isHeld(tx, by.principal.organizationId)) throw held()
          await dependencies.endOtherSessions(tx, by)
        },
      ),

    restore: (by: Caller<Person>): Promise<Organization> =>
      decide(by, 'organization.restored', restorationOf, null, async () => {}),

    /**
     * Deletes a portion of what is due; answers whether there is more. Any number of processes may call it. What fails in one
     * organization keeps none of the others.
     */
    deleteDue: async (): Promise<boolean> => {
      const failures: unknown[] = []
      let more = false
      for (const organizationId of await store.organizationsToDelete(db.within({ worker: true }), clock.now())) {
        const goOn = await deleteSome(organizationId).catch((error: unknown) => void failures.push(error))
        more ||= goOn === true
      }
      if (failures.length > 0) throw failures[0]
      return more
    },
  }
}

function held(): Problem {
  const detail = 'The audit is under legal hold, so the organization has to stay. Lift the hold first.'
  return new Problem(409, 'audit.legal_hold', detail)
}
