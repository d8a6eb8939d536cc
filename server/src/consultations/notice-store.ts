import type { Queryable, Statement } from '../platform/database/db.ts'
import { shownState } from './columns.ts'
import type { State } from './consultation.ts'
import type { Priority, Risk } from './questions/tiers.ts'

/** A changed request as open inboxes receive it: enough for its row in a list. */
export interface Notice {
  readonly id: string
  readonly title: string
  readonly state: State
  readonly revision: number
  readonly risk: Risk
  readonly priority: Priority
  readonly agentId: string
  readonly timeoutAt: Date | null
  readonly heldUntil: Date | null
  readonly responderId: string | null
  readonly createdAt: Date
  /** When it changed last, its callback included. */
  readonly updatedAt: Date
}

/** How far a reader has come in the changes of an organization, which are in the order of their times and, within one, of ids. */
export interface Position {
  readonly at: Date
  readonly id: string
}

// Each range is read in the order of its index, and ends after one row too many: then the rest does not matter. How many there
// were always comes, also where none of them is to be told now: what was not read would be lost otherwise. The conditions that
// are true of every row choose the indexes (0006_consultations.sql, 0021_callback_progress.sql).
const noticesStatement: Statement = {
  name: 'consultations_notices',
  text: `with by_request as materialized (select id from consultation_requests
      where organization_id = $1 and updated_at >= $2 and updated_at <= $4 and updated_at > '-infinity'
        and (updated_at > $2 or id > $3) limit $5),
    by_delivery as materialized (select subject_id as id from deliveries
      where organization_id = $1 and changed_at >= $2 and changed_at <= $4 and (attempts > 0 or settled is not null)
        and (changed_at > $2 or subject_id > $3) limit $5),
    counted as (select (select count(*) from by_request)::int as requests, (select count(*) from by_delivery)::int as deliveries),
    found as materialized (select id from by_request union select id from by_delivery)
    select c.*, counted.requests, counted.deliveries from counted left join (found cross join lateral (
      select c.id, c.title, ${shownState} as state, c.revision, c.risk, c.priority, c.agent_id as "agentId",
        c.timeout_at as "timeoutAt", c.held_until as "heldUntil", c.responder_id as "responderId",
        c.created_at as "createdAt", greatest(c.updated_at, o.changed_at) as "updatedAt"
      from consultation_requests c left join lateral (select settled, changed_at from deliveries o
        where o.organization_id = $1 and o.id = c.callback_id offset 0) o on true
      where c.organization_id = $1 and c.id = found.id offset 0) c)
    on c."updatedAt" <= $4 and (c."updatedAt" > $2 or (c."updatedAt" = $2 and c.id > $3))
    order by c."updatedAt", c.id`,
}

/** What changed after this position, up to a time up to which everything is settled, in order; null: more than `most`. */
export async function noticesAfter(
  db: Queryable,
  organizationId: string,
  after: Position,
  until: Date,
  most: number,
): Promise<readonly Notice[] | null> {
  type Read = { readonly requests: number; readonly deliveries: number }
  type Found = Read & (Notice | { readonly id: null })
  const found = await db.execute<Found>(noticesStatement, [organizationId, after.at, after.id, until, most + 1])
  const notices = found.filter((row): row is Read & Notice => row.id !== null)
  const isTooMuch = found.some(({ requests, deliveries }) => Math.max(notices.length, requests, deliveries) > most)
  return isTooMuch ? null : notices
}

const changedStatement: Statement = {
  name: 'consultations_changed_organizations',
  text: 'select id from hitl_changed_organizations($1) as changed(id)',
}

/** Those of these organizations in which a request changed after the time that is given for each. */
export async function changedOrganizations(
  db: Queryable,
  since: readonly { readonly organizationId: string; readonly after: Date }[],
): Promise<readonly string[]> {
  const asked = since.map(({ organizationId, after }) => ({ organization_id: organizationId, after }))
  return (await db.execute<{ id: string }>(changedStatement, [JSON.stringify(asked)])).map(({ id }) => id)
}
