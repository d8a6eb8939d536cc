import type { Queryable, Statement } from '../platform/db.ts'

/** Rows in one transaction: some 200 ms of work, during which nobody answers these requests. */
export const marksAtOnce = 5_000

/** Of one agent: how many, and the highest id. */
export interface Marked {
  readonly agentId: string
  readonly requests: number
  readonly last: string
}

interface Row {
  agent_id: string
  requests: number
  last: string
}

// In the order of ids, as acts lock them: nobody waits for each other in a circle. `updated_at` moves, so that whoever
// polls for what changed sees the mark.
const touched = `greatest($3::timestamptz, c.updated_at + interval '1 millisecond')`
const summed = `select agent_id, count(*)::int as requests, max(id::text) as last from changed group by agent_id`

const markStatement: Statement = {
  name: 'consultations_mark',
  text: `with found as materialized (
      select c.id from consultation_requests c
      where c.organization_id = $1 and c.state = 'pending' and c.state <> '' and c.agent_id = any($2::uuid[])
        and not c.agent_paused and c.id > $4
      order by c.id limit ${marksAtOnce} for update
    ), changed as (
      update consultation_requests c set agent_paused = true, updated_at = ${touched}
      from found where c.organization_id = $1 and c.id = found.id returning c.agent_id, c.id
    ) ${summed}`,
}

/** Marks open requests of these agents, from an id on: as many as one portion. */
export async function markOpen(
  tx: Queryable,
  organizationId: string,
  agentIds: readonly string[],
  now: Date,
  after: string,
): Promise<readonly Marked[]> {
  return (await tx.execute<Row>(markStatement, [organizationId, [...agentIds], now, after])).map(toMarked)
}

// Also what was answered meanwhile: nothing keeps a mark that does not count any more.
const unmarkStatement: Statement = {
  name: 'consultations_unmark',
  text: `with found as materialized (
      select c.id from consultation_requests c
      where c.organization_id = $1 and c.agent_id = any($2::uuid[]) and c.agent_paused
      order by c.id limit ${marksAtOnce} for update
    ), changed as (
      update consultation_requests c set agent_paused = false,
        updated_at = case when c.state = 'pending' then ${touched} else c.updated_at end
      from found where c.organization_id = $1 and c.id = found.id returning c.agent_id, c.id
    ) ${summed}`,
}

export async function unmark(
  tx: Queryable,
  organizationId: string,
  agentIds: readonly string[],
  now: Date,
): Promise<readonly Marked[]> {
  return (await tx.execute<Row>(unmarkStatement, [organizationId, [...agentIds], now])).map(toMarked)
}

function toMarked(row: Row): Marked {
  return { agentId: row.agent_id, requests: row.requests, last: row.last }
}
