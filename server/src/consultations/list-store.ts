import type { Queryable, Statement } from '../platform/database/db.ts'
import { closingAnswer, type Row, toConsultation } from './columns.ts'
import type { Consultation, State } from './consultation.ts'
import { listedColumns } from './store.ts'

export interface ListFilter {
  readonly organizationId: string
  /** Only requests of this agent. */
  readonly agentId: string | null
  readonly state: State | null
  readonly updatedAfter: Date | null
  /** With `updatedAfter`: what changed later is not shown yet. */
  readonly updatedUntil: Date | null
  /** Only ids below this one: the cursor. */
  readonly before: string | null
  readonly limit: number
  readonly offset: number
  /** `{}` instead of large contents. */
  readonly light: boolean
}

export interface Page {
  readonly items: readonly Consultation[]
  /** How many match the filter, the cursor aside. */
  readonly total: number
  readonly limit: number
  readonly offset: number
  readonly hasMore: boolean
  /** Of a differential poll: every change up to this time is settled, and later ones are not shown yet. */
  readonly updatedUntil: Date | null
}

// Conditions that every request meets: a statement that repeats one may use the partial index with that condition, and no
// other statement may (0006_consultations.sql). A differential poll uses only the index on updated_at.
const byAgent = `agent_id <> '00000000-0000-0000-0000-000000000000'`
const byState = `state <> ''`
const byUpdate = `updated_at > '-infinity'`

/** What the items of a page come to at most, unless the first is larger. */
const pageBytes = 1_048_576

/** Newest first. The statement is prepared once per combination of filters: at most 32 of them. */
export async function list(db: Queryable, filter: ListFilter): Promise<Page> {
  const { organizationId, agentId, state, updatedAfter, updatedUntil, before, limit, offset, light } = filter
  // One more than asked for: then there is a next page.
  const values: unknown[] = [organizationId, limit + 1, offset]
  const parameter = (value: unknown): string => `$${values.push(value)}`
  const own = agentId === null ? '' : ` and agent_id = ${parameter(agentId)}`
  const inState = state === null ? '' : ` and state = ${parameter(state)}`
  const changed =
    updatedAfter === null
      ? ''
      : ` and updated_at > ${parameter(updatedAfter)} and updated_at <= ${parameter(updatedUntil)}`
  const below = before === null ? '' : ` and id < ${parameter(before)}`
  const matching = `where organization_id = $1${own}${inState}`
  const index = `${own && ` and ${byAgent}`}${inState && ` and ${byState}`}`
  // A differential poll usually finds few rows: they are collected by updated_at first, and counted as they stand.
  // Without it the primary key gives the order, and the kept totals give the count.
  const text = changed
    ? `with changed as materialized (select organization_id, id, agent_id, state from consultation_requests
           where organization_id = $1${changed} and ${byUpdate}),
         matching as (select organization_id, id from changed where true${own}${inState}),
         counted as (select count(*)::int as total from matching),
         page as (select * from matching where true${below} order by id desc limit $2 offset $3)`
    : `with counted as (select coalesce(sum(total), 0)::int as total from consultation_totals ${matching}),
         page as (select organization_id, id from consultation_requests ${matching}${index}${below}
                  order by id desc limit $2 offset $3)`
  const rows = await db.execute<{ total: number } & ((Row & { looked_at: number }) | { id: null })>(
    {
      name: `consultations_list${own && '_own'}${inState && '_state'}${changed && '_changed'}${below && '_cursor'}${light ? '' : '_full'}`,
      text: `${text}, read as (
          select c.*, sum(c.bytes) over (order by c.id desc) as sum, count(*) over ()::int as looked_at
          from page cross join lateral (select ${listedColumns(light)} from consultation_requests c ${closingAnswer}
            where (c.organization_id, c.id) = (page.organization_id, page.id) offset 0) c)
        select counted.total, c.* from counted left join read c on c.sum <= ${pageBytes} or c.sum = c.bytes
        order by c.id desc`,
    },
    values,
  )
  const items = rows.flatMap((row) => (row.id === null ? [] : [row])).slice(0, limit)
  const hasMore = items.length < (items[0]?.looked_at ?? 0)
  return { items: items.map(toConsultation), total: rows[0]?.total ?? 0, limit, offset, hasMore, updatedUntil }
}

const otherProcessesStatement: Statement = {
  name: 'consultations_other_processes',
  text: 'select present, oldest from hitl_other_processes()',
}

/** Whether other processes of the service use this database, and when the oldest of their open transactions began. */
export async function otherProcesses(
  db: Queryable,
): Promise<{ readonly present: boolean; readonly oldest: Date | null }> {
  const [row] = await db.execute<{ present: boolean; oldest: Date | null }>(otherProcessesStatement, [])
  return row ?? { present: false, oldest: null }
}
