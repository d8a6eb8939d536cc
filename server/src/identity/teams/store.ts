import type { Selectable } from 'kysely'
import { type Queryable, queriesOn } from '../../platform/db.ts'

interface Tables {
  teams: {
    organization_id: string
    id: string
    name: string
    description: string | null
    created_at: Date
    updated_at: Date
  }
  team_members: { organization_id: string; team_id: string; user_id: string; is_lead: boolean; created_at: Date }
}

export interface Team {
  readonly organizationId: string
  readonly id: string
  readonly name: string
  readonly description: string | null
  readonly createdAt: Date
  readonly updatedAt: Date
}

export interface TeamMember {
  readonly userId: string
  readonly isLead: boolean
}

const sql = queriesOn<Tables>()

function toTeam(row: Selectable<Tables['teams']>): Team {
  return {
    organizationId: row.organization_id,
    id: row.id,
    name: row.name,
    description: row.description,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

/** False when another team has the name. */
export async function insertTeam(tx: Queryable, team: Team): Promise<boolean> {
  const query = sql
    .insertInto('teams')
    .values({
      organization_id: team.organizationId,
      id: team.id,
      name: team.name,
      description: team.description,
      created_at: team.createdAt,
      updated_at: team.updatedAt,
    })
    .onConflict((conflict) => conflict.columns(['organization_id', 'name']).doNothing())
    .returning('id')
  return (await tx.run(query)).length === 1
}

export async function teamById(db: Queryable, organizationId: string, id: string, lock = false): Promise<Team | null> {
  const query = sql.selectFrom('teams').selectAll().where('organization_id', '=', organizationId).where('id', '=', id)
  const [row] = await db.run(lock ? query.forUpdate() : query)
  return row === undefined ? null : toTeam(row)
}

/** By name; an organization has at most some hundreds. */
export async function teams(db: Queryable, organizationId: string): Promise<readonly Team[]> {
  const query = sql.selectFrom('teams').selectAll().where('organization_id', '=', organizationId).orderBy('name')
  return (await db.run(query.limit(1_000))).map(toTeam)
}

export async function nameIsTaken(tx: Queryable, team: Team): Promise<boolean> {
  const query = sql
    .selectFrom('teams')
    .select('id')
    .where('organization_id', '=', team.organizationId)
    .where('name', '=', team.name)
    .where('id', '<>', team.id)
  return (await tx.run(query)).length > 0
}

export async function saveTeam(tx: Queryable, team: Team): Promise<void> {
  await tx.run(
    sql
      .updateTable('teams')
      .set({ name: team.name, description: team.description, updated_at: team.updatedAt })
      .where('organization_id', '=', team.organizationId)
      .where('id', '=', team.id),
  )
}

/** Its memberships go with it. */
export async function deleteTeam(tx: Queryable, organizationId: string, id: string): Promise<void> {
  await tx.run(sql.deleteFrom('teams').where('organization_id', '=', organizationId).where('id', '=', id))
}

export async function members(db: Queryable, organizationId: string, teamId: string): Promise<readonly TeamMember[]> {
  const query = sql
    .selectFrom('team_members')
    .selectAll()
    .where('organization_id', '=', organizationId)
    .where('team_id', '=', teamId)
    .orderBy('user_id')
    .limit(1_000)
  return (await db.run(query)).map((row) => ({ userId: row.user_id, isLead: row.is_lead }))
}

export async function isLead(db: Queryable, organizationId: string, teamId: string, userId: string): Promise<boolean> {
  const query = sql
    .selectFrom('team_members')
    .select('is_lead')
    .where('organization_id', '=', organizationId)
    .where('team_id', '=', teamId)
    .where('user_id', '=', userId)
  return (await db.run(query))[0]?.is_lead === true
}

export async function putMember(tx: Queryable, team: Team, member: TeamMember, at: Date): Promise<void> {
  await tx.run(
    sql
      .insertInto('team_members')
      .values({
        organization_id: team.organizationId,
        team_id: team.id,
        user_id: member.userId,
        is_lead: member.isLead,
        created_at: at,
      })
      .onConflict((conflict) =>
        conflict.columns(['organization_id', 'team_id', 'user_id']).doUpdateSet({ is_lead: member.isLead }),
      ),
  )
}

/** False when the person was no member. */
export async function removeMember(tx: Queryable, team: Team, userId: string): Promise<boolean> {
  const query = sql
    .deleteFrom('team_members')
    .where('organization_id', '=', team.organizationId)
    .where('team_id', '=', team.id)
    .where('user_id', '=', userId)
    .returning('user_id')
  return (await tx.run(query)).length === 1
}
