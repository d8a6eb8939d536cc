import type { Queryable, Statement } from '../platform/database/db.ts'

/** Rows in one transaction: some 200 ms of work, during which nobody answers these requests. */
export const marksAtOnce = 5_000

/** What a portion changed. */
export interface Marked {
  readonly requests: number
  /** The highest id; null when there was none. */
  readonly last: string | null
}

// No join: as long as the table has no statistics, PostgreSQL would read it once per row. `updated_at` moves, so that whoever
// polls for what changed sees the mark.
const portion = (matching: string, updatedAt: string, isPaused: boolean): string => `
  with changed as (
    update consultation_requests c set agent_paused = ${isPaused}, updated_at = ${updatedAt}
    where ${matching} and c.id <= coalesce(
      (select c.id from consultation_requests c where ${matching} order by c.id offset ${marksAtOnce - 1} limit 1),
      'ffffffff-ffff-ffff-ffff-ffffffffffff')
    returning c.id
  )
  select count(*)::int as requests, max(id::text) as last from changed`

const touched = `greatest($3::timestamptz, c.updated_at + interval '1 millisecond')`

const markStatement: Statement = {
  name: 'consultations_mark',
  text: portion(
    `c.organization_id = $1 and c.state = 'pending' and c.state <> '' and c.agent_id = any($2::uuid[])
      and not c.agent_paused and c.id > $4`,
    touched,
    true,
  ),
}

/** Marks open requests of these agents, from an id on: as many as one portion. */
export async function markOpen(
  tx: Queryable,
  organizationId: string,
  agentIds: readonly string[],
  now: Date,
  after: string,
): Promise<Marked> {
  return one(await tx.execute<Marked>(markStatement, [organizationId, [...agentIds], now, after]))
}

// Also what was answered meanwhile: nothing keeps a mark that does not count any more.
const unmarkStatement: Statement = {
  name: 'consultations_unmark',
  text: portion(
    'c.organization_id = $1 and c.agent_id = any($2::uuid[]) and c.agent_paused',
    `case when c.state = 'pending' then ${touched} else c.updated_at end`,
    false,
  ),
}

export async function unmark(
  tx: Queryable,
  organizationId: string,
  agentIds: readonly string[],
  now: Date,
): Promise<Marked> {
  return one(await tx.execute<Marked>(unmarkStatement, [organizationId, [...agentIds], now]))
}

function one(rows: readonly Marked[]): Marked {
  return rows[0] ?? { requests: 0, last: null }
}

const countStatement: Statement = {
  name: 'consultations_count_marked',
  text: `select agent_id, count(*)::int as requests from consultation_requests
    where organization_id = $1 and agent_id = any($2::uuid[]) and agent_paused group by agent_id`,
}

/** How many requests of each of these agents are marked, those without any left out. */
export async function countMarked(
  tx: Queryable,
  organizationId: string,
  agentIds: readonly string[],
): Promise<readonly { readonly agentId: string; readonly requests: number }[]> {
  const values = [organizationId, [...agentIds]]
  const rows = await tx.execute<{ agent_id: string; requests: number }>(countStatement, values)
  return rows.map((row) => ({ agentId: row.agent_id, requests: row.requests }))
}
