import type { Clock } from '../../platform/clock.ts'
import { type Db, inTransaction, type Tx } from '../../platform/db.ts'
import { newId } from '../../platform/ids.ts'
import { Problem } from '../../platform/problem.ts'
import type { IdentityFact } from '../fact.ts'
import { mayRunTeam } from '../organizations/organization.ts'
import * as people from '../people/store.ts'
import { actorOf, type Caller, type Person } from '../principal.ts'
import type { Team, TeamMember } from './store.ts'
import * as store from './store.ts'

export interface TeamDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly report: (tx: Tx, facts: readonly IdentityFact[]) => Promise<void>
}

export interface TeamInput {
  readonly name?: string | undefined
  readonly description?: string | null | undefined
}

export type Teams = ReturnType<typeof createTeams>

/** Teams and their leads: managers run every team, a lead the own one. */
export function createTeams({ db, clock, report }: TeamDependencies) {
  const tell = (tx: Tx, by: Caller<Person>, team: Team, kind: string, change: Pick<IdentityFact, 'before' | 'after'>) =>
    report(tx, [
      {
        organizationId: team.organizationId,
        kind,
        subjectKind: 'team',
        subjectId: team.id,
        actor: actorOf(by.principal),
        httpRequestId: by.httpRequestId,
        network: by.network ?? null,
        occurredAt: clock.now(),
        ...change,
      },
    ])

  /** Within the organization, on a team that the caller may run. */
  const running = <T>(by: Caller<Person>, id: string, work: (tx: Tx, team: Team) => Promise<T>): Promise<T> => {
    const { organizationId, userId, role } = by.principal
    return inTransaction(db, { organizationId }, async (tx) => {
      const team = await store.teamById(tx, organizationId, id, true)
      if (team === null) throw teamNotFound()
      if (!mayRunTeam(role, await store.isLead(tx, organizationId, id, userId))) {
        throw new Problem(403, 'team.not_lead', 'Only administrators and the leads of this team change it.')
      }
      return work(tx, team)
    })
  }

  return {
    list: ({ organizationId }: Person): Promise<readonly Team[]> =>
      store.teams(db.within({ organizationId }), organizationId),

    one: async (
      { organizationId }: Person,
      id: string,
    ): Promise<{ readonly team: Team; readonly members: readonly TeamMember[] }> => {
      const scoped = db.within({ organizationId })
      const team = await store.teamById(scoped, organizationId, id)
      if (team === null) throw teamNotFound()
      return { team, members: await store.members(scoped, organizationId, id) }
    },

    create: async (by: Caller<Person>, input: TeamInput & { readonly name: string }): Promise<Team> => {
      const { organizationId } = by.principal
      const now = clock.now()
      const { name, description = null } = input
      const team: Team = { organizationId, id: newId(), name, description, createdAt: now, updatedAt: now }
      await inTransaction(db, { organizationId }, async (tx) => {
        if (!(await store.insertTeam(tx, team))) throw nameTaken()
        await tell(tx, by, team, 'team.created', { before: null, after: { name } })
      })
      return team
    },

    change: (by: Caller<Person>, id: string, input: TeamInput): Promise<Team> =>
      running(by, id, async (tx, before) => {
        const after: Team = {
          ...before,
          name: input.name ?? before.name,
          description: input.description === undefined ? before.description : input.description,
          updatedAt: new Date(Math.max(clock.now().getTime(), before.updatedAt.getTime() + 1)),
        }
        if (await store.nameIsTaken(tx, after)) throw nameTaken()
        await store.saveTeam(tx, after)
        await tell(tx, by, after, 'team.changed', { before: { name: before.name }, after: { name: after.name } })
        return after
      }),

    remove: (by: Caller<Person>, id: string): Promise<void> =>
      running(by, id, async (tx, team) => {
        await store.deleteTeam(tx, team.organizationId, team.id)
        await tell(tx, by, team, 'team.deleted', { before: { name: team.name }, after: null })
      }),

    putMember: (by: Caller<Person>, id: string, member: TeamMember): Promise<void> =>
      running(by, id, async (tx, team) => {
        const user = await people.userById(tx, team.organizationId, member.userId)
        if (user === null) throw new Problem(404, 'user.not_found', 'User not found')
        await store.putMember(tx, team, member, clock.now())
        const after = { user_id: member.userId, is_lead: member.isLead }
        await tell(tx, by, team, 'team.member_put', { before: null, after })
      }),

    removeMember: (by: Caller<Person>, id: string, userId: string): Promise<void> =>
      running(by, id, async (tx, team) => {
        if (!(await store.removeMember(tx, team, userId))) throw new Problem(404, 'user.not_found', 'User not found')
        await tell(tx, by, team, 'team.member_removed', { before: { user_id: userId }, after: null })
      }),
  }
}

function teamNotFound(): Problem {
  return new Problem(404, 'team.not_found', 'Team not found')
}

function nameTaken(): Problem {
  return new Problem(409, 'team.name_taken', 'Another team has this name. Choose another one.')
}
