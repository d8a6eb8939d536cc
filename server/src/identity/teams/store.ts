import type { Selectable } from 'kysely'
import { type Queryable, type Statement, sql } from '../../platform/database/db.ts'
import { earlierIn } from '../../platform/database/earlier.ts'
import { first } from '../../platform/database/first.ts'
import type { Schema } from '../../platform/database/schema.gen.ts'
import type { Idempotency } from '../../platform/idempotency.ts'
import { fieldsOf, names, valuesOf } from '../../platform/names.ts'
import type { Team, TeamMember } from './team.ts'

const teamColumns = names('organization_id, id, name, description, created_at, updated_at')

function toTeam(row: Selectable<Schema['teams']>): Team {
  return fieldsOf(row, teamColumns)
}

/** False when another team has the name, or the creator has already used this Idempotency-Key. */
export async function insertTeam(
  tx: Queryable,
  team: Team,
  createdBy: string,
  idempotency: Idempotency | null,
): Promise<boolean> {
  const query = sql
    .insertInto('teams')
    .values({
      ...valuesOf(team, teamColumns),
      created_by: createdBy,
      idempotency_key: idempotency?.key ?? null,
      idempotency_hash: idempotency?.hash ?? null,
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning('id')
  return (await tx.run(query)).length === 1
}

export const teamByIdempotencyKey = earlierIn('teams', toTeam)

export async function teamById(db: Queryable, organizationId: string, id: string, lock = false): Promise<Team | null> {
  const query = sql.selectFrom('teams').selectAll().where('organization_id', '=', organizationId).where('id', '=', id)
  return first(db.run(lock ? query.forUpdate() : query), toTeam)
}

/** Oldest first, behind `after`. */
export async function teams(
  db: Queryable,
  organizationId: string,
  after: string | null,
  limit: number,
): Promise<readonly Team[]> {
  const all = sql.selectFrom('teams').selectAll().where('organization_id', '=', organizationId)
  const query = after === null ? all : all.where('id', '>', after)
  return (await db.run(query.orderBy('id').limit(limit))).map(toTeam)
}

/** A unique violation says that another team has the name. */
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
export async function deleteTeam(tx: Queryable, { organizationId, id }: Team): Promise<void> {
  await tx.run(sql.deleteFrom('teams').where('organization_id', '=', organizationId).where('id', '=', id))
}

// Members

/** By their ids, behind `after`. */
export async function members(
  db: Queryable,
  { organizationId, id }: Team,
  after: string | null,
  limit: number,
): Promise<readonly TeamMember[]> {
  const all = sql
    .selectFrom('team_members')
    .select(['user_id', 'is_lead'])
    .where('organization_id', '=', organizationId)
    .where('team_id', '=', id)
  const query = after === null ? all : all.where('user_id', '>', after)
  const rows = await db.run(query.orderBy('user_id').limit(limit))
  return rows.map((row) => ({ userId: row.user_id, isLead: row.is_lead }))
}

export async function member(db: Queryable, { organizationId, id }: Team, userId: string): Promise<TeamMember | null> {
  const query = sql
    .selectFrom('team_members')
    .select('is_lead')
    .where('organization_id', '=', organizationId)
    .where('team_id', '=', id)
    .where('user_id', '=', userId)
  const [row] = await db.run(query)
  return row === undefined ? null : { userId, isLead: row.is_lead }
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

export async function removeMember(
  tx: Queryable,
  team: Pick<Team, 'organizationId' | 'id'>,
  userId: string,
): Promise<void> {
  await tx.run(
    sql
      .deleteFrom('team_members')
      .where('organization_id', '=', team.organizationId)
      .where('team_id', '=', team.id)
      .where('user_id', '=', userId),
  )
}

export async function teamsOf(tx: Queryable, organizationId: string, userId: string): Promise<ReadonlySet<string>> {
  const query = sql
    .selectFrom('team_members')
    .select('team_id')
    .where('organization_id', '=', organizationId)
    .where('user_id', '=', userId)
  return new Set((await tx.run(query)).map((row) => row.team_id))
}

const joinStatement: Statement = {
  name: 'teams_join',
  text: `insert into team_members (organization_id, team_id, user_id, created_at)
    select organization_id, id, $3, $4 from teams where organization_id = $1 and id = $2
    on conflict do nothing returning team_id`,
}

/** False when the team is gone. */
export async function joinTeam(
  tx: Queryable,
  organizationId: string,
  teamId: string,
  userId: string,
  at: Date,
): Promise<boolean> {
  return (await tx.execute(joinStatement, [organizationId, teamId, userId, at])).length === 1
}
