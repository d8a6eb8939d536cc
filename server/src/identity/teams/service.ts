import { type Fact, personalFields, type Report } from '../../facts/fact.ts'
import type { EventKind } from '../../facts/kinds.ts'
import { type Clock, later } from '../../platform/clock.ts'
import { type Db, inTransaction, type Tx } from '../../platform/database/db.ts'
import { sqlState } from '../../platform/database/errors.ts'
import { type CreatedOnce, createOnce, type Idempotency } from '../../platform/idempotency.ts'
import { newId } from '../../platform/ids.ts'
import { Problem } from '../../platform/problem.ts'
import { userNotFound } from '../accounts/member-facts.ts'
import * as people from '../accounts/store.ts'
import { mayRunTeam } from '../organizations/organization.ts'
import { actorOf, type Caller, type Person } from '../principal.ts'
import * as store from './store.ts'
import { nameTaken, notInTeam, notLead, type Team, type TeamMember, teamNotFound } from './team.ts'

export interface TeamDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly report: Report
}

export interface TeamInput {
  readonly name: string
  readonly description: string | null
}

/** One more than was asked for tells that there are more. */
export interface Page<Item> {
  readonly items: readonly Item[]
  readonly hasMore: boolean
}

export type Teams = ReturnType<typeof createTeams>

/** Teams and their leads: managers run every team, a lead the own one. */
export function createTeams({ db, clock, report }: TeamDependencies) {
  const factOf = (
    by: Caller<Person>,
    team: Team,
    kind: EventKind,
    change: Partial<Pick<Fact, 'before' | 'after' | 'erasable'>>,
  ): Fact => ({
    organizationId: team.organizationId,
    kind,
    subjectKind: 'team',
    subjectId: team.id,
    actor: actorOf(by.principal),
    httpRequestId: by.httpRequestId,
    network: by.network ?? null,
    before: null,
    after: null,
    occurredAt: clock.now(),
    ...change,
  })

  const found = async ({ organizationId }: Person, id: string): Promise<Team> => {
    const team = await store.teamById(db.within({ organizationId }), organizationId, id)
    if (team === null) throw teamNotFound()
    return team
  }

  /** Locked, within the organization, for somebody who may run the team. */
  const running = <T>(by: Caller<Person>, id: string, work: (tx: Tx, team: Team) => Promise<T>): Promise<T> => {
    const { organizationId, userId, role } = by.principal
    return inTransaction(db, { organizationId }, async (tx) => {
      const team = await store.teamById(tx, organizationId, id, true)
      if (team === null) throw teamNotFound()
      const me = await store.member(tx, team, userId)
      if (!mayRunTeam(role, me?.isLead === true)) throw notLead()
      return work(tx, team)
    })
  }

  return {
    list: async ({ organizationId }: Person, after: string | null, limit: number): Promise<Page<Team>> => {
      const rows = await store.teams(db.within({ organizationId }), organizationId, after, limit + 1)
      return { items: rows.slice(0, limit), hasMore: rows.length > limit }
    },

    one: found,

    members: async (by: Person, id: string, after: string | null, limit: number): Promise<Page<TeamMember>> => {
      const { organizationId } = by
      const rows = await store.members(db.within({ organizationId }), await found(by, id), after, limit + 1)
      return { items: rows.slice(0, limit), hasMore: rows.length > limit }
    },

    create: (by: Caller<Person>, input: TeamInput, idempotency: Idempotency | null): Promise<CreatedOnce<Team>> => {
      const { organizationId, userId } = by.principal
      const now = clock.now()
      const team: Team = { ...input, organizationId, id: newId(), createdAt: now, updatedAt: now }
      return createOnce(idempotency, {
        insert: () =>
          inTransaction(db, { organizationId }, async (tx) => {
            if (!(await store.insertTeam(tx, team, userId, idempotency))) return null
            await report(tx, [factOf(by, team, 'team.created', personalFields(null, words(team)))])
            return team
          }),
        find: (key) => store.teamByIdempotencyKey(db.within({ organizationId }), organizationId, userId, key),
        initialReply: (earlier) => ({ ...earlier, updatedAt: earlier.createdAt }),
        taken: nameTaken,
      })
    },

    change: (by: Caller<Person>, id: string, changes: Partial<TeamInput>): Promise<Team> =>
      running(by, id, async (tx, before) => {
        const { name = before.name, description = before.description } = changes
        if (name === before.name && description === before.description) return before
        const after: Team = { ...before, name, description, updatedAt: later(before, clock.now()) }
        await store.saveTeam(tx, after)
        await report(tx, [factOf(by, after, 'team.changed', personalFields(words(before), words(after)))])
        return after
      }).catch((error: unknown) => {
        throw sqlState(error) === '23505' ? nameTaken() : error
      }),

    remove: (by: Caller<Person>, id: string): Promise<void> =>
      running(by, id, async (tx, team) => {
        await store.deleteTeam(tx, team)
        await report(tx, [factOf(by, team, 'team.deleted', personalFields(null, words(team)))])
      }),

    putMember: (by: Caller<Person>, id: string, member: TeamMember): Promise<void> =>
      running(by, id, async (tx, team) => {
        const user = await people.userById(tx, team.organizationId, member.userId)
        if (user === null) throw userNotFound()
        if (!user.isActive) throw new Problem(409, 'user.inactive', 'This member is deactivated. Activate them first.')
        const before = await store.member(tx, team, member.userId)
        if (before?.isLead === member.isLead) return
        await store.putMember(tx, team, member, clock.now())
        const kind = before === null ? 'team.member_added' : 'team.member_changed'
        await report(tx, [factOf(by, team, kind, { before: before && shown(before), after: shown(member) })])
      }),

    removeMember: (by: Caller<Person>, id: string, userId: string): Promise<void> =>
      running(by, id, async (tx, team) => {
        const before = await store.member(tx, team, userId)
        if (before === null) throw notInTeam()
        await store.removeMember(tx, team, userId)
        await report(tx, [factOf(by, team, 'team.member_removed', { before: shown(before) })])
      }),
  }
}

function shown({ userId, isLead }: TeamMember) {
  return { user_id: userId, is_lead: isLead }
}

/** People's own, so that the audit can erase them. */
function words({ name, description }: Team) {
  return { name, description }
}
