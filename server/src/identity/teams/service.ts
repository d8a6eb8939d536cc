import { factBy, personalFields } from '../../facts/fact.ts'
import { later } from '../../platform/clock.ts'
import { inTransaction, type Tx } from '../../platform/database/db.ts'
import { sqlState } from '../../platform/database/errors.ts'
import { type CreatedOnce, createOnce, type Idempotency } from '../../platform/idempotency.ts'
import { newId } from '../../platform/ids.ts'
import { type Page, pageOf } from '../../platform/page.ts'
import { withContext } from '../../platform/with-context.ts'
import * as people from '../accounts/store.ts'
import { userInactive, userNotFound } from '../accounts/user.ts'
import type { IdentityContext } from '../context.ts'
import { mayRunTeam } from '../organizations/organization.ts'
import { byCaller, type Caller, type Person } from '../principal.ts'
import * as store from './store.ts'
import { nameTaken, notInTeam, notLead, type Team, type TeamMember, teamNotFound } from './team.ts'

export interface TeamInput {
  readonly name: string
  readonly description: string | null
}

export type Teams = ReturnType<typeof createTeams>

export function createTeams(context: IdentityContext) {
  return withContext(context, { list, one, members, create, change, remove, putMember, removeMember })
}

async function list(
  { db }: IdentityContext,
  { organizationId }: Person,
  after: string | null,
  limit: number,
): Promise<Page<Team>> {
  return pageOf(await store.teams(db.within({ organizationId }), organizationId, after, limit + 1), limit)
}

async function one({ db }: IdentityContext, { organizationId }: Person, id: string): Promise<Team> {
  const team = await store.teamById(db.within({ organizationId }), organizationId, id)
  if (team === null) throw teamNotFound()
  return team
}

async function members(
  context: IdentityContext,
  by: Person,
  id: string,
  after: string | null,
  limit: number,
): Promise<Page<TeamMember>> {
  const team = await one(context, by, id)
  return pageOf(await store.members(context.db.within(team), team, after, limit + 1), limit)
}

function create(
  { db, clock, report }: IdentityContext,
  by: Caller<Person>,
  input: TeamInput,
  idempotency: Idempotency | null,
): Promise<CreatedOnce<Team>> {
  const { organizationId, userId } = by.principal
  const now = clock.now()
  const team: Team = { ...input, organizationId, id: newId(), createdAt: now, updatedAt: now }
  return createOnce(idempotency, {
    insert: () =>
      inTransaction(db, { organizationId }, async (tx) => {
        if (!(await store.insertTeam(tx, team, userId, idempotency))) return null
        await report(tx, [
          factBy(byCaller(by), 'team.created', ['team', team.id], {
            ...personalFields(null, namesOf(team)),
            occurredAt: now,
          }),
        ])
        return team
      }),
    find: (key) => store.teamByIdempotencyKey(db.within({ organizationId }), organizationId, userId, key),
    initialReply: (earlier) => ({ ...earlier, ...input, updatedAt: earlier.createdAt }),
    taken: nameTaken,
  })
}

/** With the team locked: managers run every team, a lead only their own. */
function running<T>(
  { db }: IdentityContext,
  by: Caller<Person>,
  id: string,
  work: (tx: Tx, team: Team) => Promise<T>,
): Promise<T> {
  const { organizationId, userId, role } = by.principal
  return inTransaction(db, { organizationId }, async (tx) => {
    const team = await store.teamById(tx, organizationId, id, true)
    if (team === null) throw teamNotFound()
    const me = await store.member(tx, team, userId)
    if (!mayRunTeam(role, me?.isLead === true)) throw notLead()
    return work(tx, team)
  })
}

function change(context: IdentityContext, by: Caller<Person>, id: string, changes: Partial<TeamInput>): Promise<Team> {
  return running(context, by, id, async (tx, before) => {
    const { name = before.name, description = before.description } = changes
    if (name === before.name && description === before.description) return before
    const after: Team = { ...before, name, description, updatedAt: later(before, context.clock.now()) }
    await store.saveTeam(tx, after)
    await context.report(tx, [
      factBy(byCaller(by), 'team.changed', ['team', id], {
        ...personalFields(namesOf(before), namesOf(after)),
        occurredAt: after.updatedAt,
      }),
    ])
    return after
  }).catch((error: unknown) => {
    throw sqlState(error) === '23505' ? nameTaken() : error
  })
}

function remove(context: IdentityContext, by: Caller<Person>, id: string): Promise<void> {
  return running(context, by, id, async (tx, team) => {
    await store.deleteTeam(tx, team)
    await context.report(tx, [
      factBy(byCaller(by), 'team.deleted', ['team', id], {
        ...personalFields(null, namesOf(team)),
        occurredAt: context.clock.now(),
      }),
    ])
  })
}

function putMember(context: IdentityContext, by: Caller<Person>, id: string, member: TeamMember): Promise<void> {
  return running(context, by, id, async (tx, team) => {
    const user = await people.userById(tx, team.organizationId, member.userId)
    if (user === null) throw userNotFound()
    if (!user.isActive) throw userInactive()
    const before = await store.member(tx, team, member.userId)
    if (before?.isLead === member.isLead) return
    const occurredAt = context.clock.now()
    await store.putMember(tx, team, member, occurredAt)
    await context.report(tx, [
      factBy(byCaller(by), before === null ? 'team.member_added' : 'team.member_changed', ['team', id], {
        before: before && memberJson(before),
        after: memberJson(member),
        occurredAt,
      }),
    ])
  })
}

function removeMember(context: IdentityContext, by: Caller<Person>, id: string, userId: string): Promise<void> {
  return running(context, by, id, async (tx, team) => {
    const before = await store.member(tx, team, userId)
    if (before === null) throw notInTeam()
    await store.removeMember(tx, team, userId)
    await context.report(tx, [
      factBy(byCaller(by), 'team.member_removed', ['team', id], {
        before: memberJson(before),
        occurredAt: context.clock.now(),
      }),
    ])
  })
}

/** The wire's team member; the audit keeps it as it is. */
export function memberJson({ userId, isLead }: TeamMember) {
  return { user_id: userId, is_lead: isLead }
}

/** Written by people, so the audit keeps it where it can be erased. */
function namesOf({ name, description }: Team) {
  return { name, description }
}
