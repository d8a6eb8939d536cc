import { plannedFor, type Queryable, type Statement } from '../platform/database/db.ts'
import { closing, type Row, shownState, toConsultation } from './columns.ts'
import { type Consultation, mostDueCounted, type Sort, type State, states } from './consultation.ts'
import { listedColumns } from './store.ts'

/** The last request of a page, or the last one that was looked at. */
export interface Place {
  readonly id: string
  /** In the list by `due`; null: it never times out. */
  readonly due: Date | null
}

/** Filters without an index of their own: `list` looks through as many requests as `mostLooked`, in the order of the list. */
export interface LookedFilter {
  readonly createdAfter: Date | null
  readonly createdBefore: Date | null
  readonly dueBefore: Date | null
  /** Members of `metadata`, and their values as text. */
  readonly metadata: readonly (readonly [name: string, value: string])[]
}

export interface ListFilter extends LookedFilter {
  readonly organizationId: string
  /** Only requests of this agent. */
  readonly agentId: string | null
  readonly state: State | null
  readonly updatedAfter: Date | null
  /** With `updatedAfter`: what changed later is not shown yet. */
  readonly updatedUntil: Date | null
  readonly sort: Sort
  /** Only what comes after it: the cursor. */
  readonly after: Place | null
  readonly limit: number
  readonly offset: number
  /** `{}` instead of large contents. */
  readonly light: boolean
}

export interface Page {
  readonly items: readonly Consultation[]
  /** How many match the filter, the cursor aside; null where that is not known. */
  readonly total: number | null
  readonly limit: number
  readonly offset: number
  /** Where the next page begins; null: there is none. */
  readonly next: Place | null
  /** Of a differential poll: every change up to this time is settled, and later ones are not shown yet. */
  readonly updatedUntil: Date | null
}

// Conditions that every request meets: a statement that repeats one may use the partial index with that condition, and no
// other statement may (0006_consultations.sql). A differential poll uses only the indexes on the times of changes.
const byAgent = `agent_id <> '00000000-0000-0000-0000-000000000000'`
const byUpdate = `updated_at > '-infinity'`
// Not of every row: which rows lists look for in these two ways (0021_callback_progress.sql).
const byState = `(state <> 'responded' or callback_id is null)`
const byChange = '(attempts > 0 or settled is not null)'
const due = `coalesce(timeout_at, 'infinity')`
const byDue = `${due} > '-infinity'`

const orders = {
  newest: { by: 'id desc', after: (id: string) => `id < ${id}` },
  oldest: { by: 'id', after: (id: string) => `id > ${id}` },
  due: { by: `${due}, id`, after: (id: string, at: string) => `(${due}, id) > (${at}::timestamptz, ${id}::uuid)` },
} as const satisfies Record<Sort, { readonly by: string; after(id: string, due: string): string }>

/** What the items of a page come to at most, unless the first is larger. */
const pageBytes = 1_048_576

/** A page looks through this many requests, so that a filter that few of a million match takes little longer than another. */
export const mostLooked = 1_000
/** Larger metadata is not searched: what is looked through has to be read. */
const searchedBytes = 4_096

/**
 * Ids hold the time at which they were made, a little before `created_at`: they bound where in the order of ids a time can be.
 * Between both lie the turns of large questions, the wait for a connection, and clocks that are set.
 */
const madeBeforeMs = 600_000
const idAt = (time: number): string => {
  const hex = Math.max(0, time).toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`
}

/** An answered request with a callback shows how that fares (columns.ts): in these states it is found by its delivery. */
const deliveredIn: Readonly<Partial<Record<State, string>>> = {
  responded: 'is null',
  callback_sent: `= 'sent'`,
  callback_failed: `= 'failed'`,
}

/** The statement is prepared once per combination of the indexed filters; with others it is planned for their values. */
export async function list(db: Queryable, filter: ListFilter): Promise<Page> {
  const { organizationId, agentId, state, updatedAfter, updatedUntil, sort, after, limit, offset, light } = filter
  const order = orders[sort]
  // One more than asked for: then there is a next page.
  const values: unknown[] = [organizationId, limit + 1, offset]
  const parameter = (value: unknown): string => `$${values.push(value)}`
  const own = agentId === null ? '' : ` and agent_id = ${parameter(agentId)}`
  const settled = sort === 'due' || state === null ? undefined : deliveredIn[state]
  const inState =
    sort === 'due'
      ? ` and state = 'pending'`
      : state === null
        ? ''
        : settled === undefined
          ? ` and state = ${parameter(state)}`
          : ` and state = '${state}'`
  const changed = updatedAfter === null ? null : { after: parameter(updatedAfter), until: parameter(updatedUntil) }
  const beyond =
    after === null ? '' : ` and ${order.after(parameter(after.id), sort === 'due' ? parameter(dueText(after)) : '')}`
  const matching = `where organization_id = $1${own}${inState}`
  const index = sort === 'due' ? ` and ${byDue}` : `${own && ` and ${byAgent}`}${inState && ` and ${byState}`}`
  const looked = lookedFor(filter, parameter)
  const { by } = order
  const within = `${looked.bounds}${beyond}`
  /** In the order of the list; `most` rows at most. */
  const rows = (most: string): string => {
    const requests = `(select * from consultation_requests ${matching}${index}${within} order by ${by} limit ${most})`
    if (settled === undefined) return requests
    const delivered = answered({ settled, own, within, by, most })
    return state === 'responded' ? `(${requests} union all ${delivered})` : delivered
  }
  const text =
    changed !== null
      ? fromChanges({ ...changed, conditions: `${own}${inState}${looked.conditions}${looked.bounds}`, beyond, by })
      : looked.conditions === ''
        ? fromIndex({ matching, rows: rows('$2::bigint + $3::bigint'), by })
        : fromLooked({ rows: rows(String(mostLooked)), fits: looked.conditions, by })
  const whole = `${text}, read as (
      select c.*, page.place, sum(c.bytes) over (order by page.place) as sum, count(*) over ()::int as looked_at
      from page cross join lateral (select ${listedColumns(light)} from consultation_requests c ${closing}
        where (c.organization_id, c.id) = (page.organization_id, page.id) offset 0) c)
    select counted.total, bound.bound_id, bound.bound_due, c.*
    from counted left join bound on true left join read c on c.sum <= ${pageBytes} or c.sum = c.bytes
    order by c.place`
  const kind = settled === undefined ? inState && '_state' : `_${state}`
  const found =
    looked.conditions === ''
      ? await db.execute<ListedRow>(
          {
            name: `consultations_list_${sort}${own && '_own'}${kind}${changed === null ? '' : '_changed'}${beyond && '_cursor'}${light ? '' : '_full'}`,
            text: whole,
          },
          values,
        )
      : await db.run<ListedRow>(plannedFor(values, whole))
  const items = found
    .flatMap((row) => (row.id === null ? [] : [row]))
    .slice(0, limit)
    .map(toConsultation)
  const [first] = found
  const lastItem = items.at(-1)
  const isCut = items.length < (first?.looked_at ?? 0)
  const bound = first?.bound_id == null ? null : { id: first.bound_id, due: first.bound_due ?? null }
  const next = isCut && lastItem !== undefined ? { id: lastItem.id, due: lastItem.timeoutAt } : bound
  return { items, total: first === undefined ? 0 : first.total, limit, offset, next, updatedUntil }
}

type ListedRow = {
  readonly total: number | null
  readonly bound_id: string | null
  readonly bound_due: Date | null
  readonly looked_at: number | null
} & (Row | { readonly id: null })

const dueText = ({ due: at }: Place): string => at?.toISOString() ?? 'infinity'

const noBound = 'bound as (select null::uuid as bound_id, null::timestamptz as bound_due)'
const numbered = (rows: string): string => `select page.*, row_number() over () as place from (${rows}) page`

/** By the deliveries that report the answers, whose index has the requests in the order of their ids. */
function answered(parts: Readonly<Record<'settled' | 'own' | 'within' | 'by' | 'most', string>>): string {
  const { settled, own, within, by, most } = parts
  return `(select c.* from (select * from (
        select subject_id as id, id as callback_id from deliveries
        where organization_id = $1 and event = 'request.responded' and shown and settled ${settled}) o where true${within}) o
      cross join lateral (select * from consultation_requests c where organization_id = $1 and c.id = o.id
        and c.callback_id = o.callback_id and state = 'responded'${own} offset 0) c
      order by o.${by} limit ${most})`
}

/** The index gives the order, and the kept totals give the count. */
function fromIndex({ matching, rows, by }: Readonly<Record<'matching' | 'rows' | 'by', string>>): string {
  return `with counted as (select coalesce(sum(total), 0)::int as total from consultation_totals ${matching}), ${noBound},
    page as (${numbered(`select organization_id, id from ${rows} found order by ${by} limit $2 offset $3`)})`
}

/**
 * A differential poll usually finds few rows: they are collected by the times of their changes first, and counted as they
 * stand.
 */
function fromChanges(parts: Readonly<Record<'after' | 'until' | 'conditions' | 'beyond' | 'by', string>>): string {
  const { after, until, conditions, beyond, by } = parts
  // Apart and materialized: for a union of both, rows in the order of their ids would be wanted, which the primary key has.
  return `with by_request as materialized (select id from consultation_requests
      where organization_id = $1 and updated_at > ${after} and updated_at <= ${until} and ${byUpdate}),
    by_delivery as materialized (select subject_id as id from deliveries
      where organization_id = $1 and changed_at > ${after} and changed_at <= ${until} and ${byChange}),
    found as materialized (select id from by_request union select id from by_delivery),
    changed as materialized (select organization_id, id, timeout_at, (true${conditions}) as fits from found
      cross join lateral (
        select c.organization_id, c.agent_id, c.timeout_at, c.created_at, c.metadata, c.metadata_bytes, c.updated_at,
          ${shownState} as state, o.changed_at
        from consultation_requests c left join lateral (select settled, changed_at from deliveries o
          where o.organization_id = $1 and o.id = c.callback_id offset 0) o on true
        where c.organization_id = $1 and c.id = found.id offset 0) c
      where greatest(c.updated_at, c.changed_at) <= ${until}),
    matching as (select * from changed where fits), ${noBound},
    counted as (select count(*)::int as total from matching),
    page as (${numbered(`select organization_id, id from matching where true${beyond} order by ${by} limit $2 offset $3`)})`
}

/** A page ends with the last row that was looked at, however few of them match; counting the rest could take seconds. */
function fromLooked({ rows, fits, by }: Readonly<Record<'rows' | 'fits' | 'by', string>>): string {
  const from = (wanted: string) => `select ${wanted} from ${rows} found order by ${by}`
  return `with counted as (select null::int as total),
    page as (${numbered(
      `select organization_id, id from (${from(`organization_id, id, (true${fits}) as fits`)} limit ${mostLooked}) looked
       where fits limit $2 offset $3`,
    )}),
    bound as (${from('id as bound_id, timeout_at as bound_due')} limit 1 offset ${mostLooked - 1})`
}

/** `bounds`: conditions on what the index is ordered by, which keep rows from being looked at. */
function lookedFor(filter: ListFilter, parameter: (value: unknown) => string) {
  const { createdAfter, createdBefore, dueBefore, metadata, sort } = filter
  const conditions: string[] = []
  const bounds: string[] = []
  const isById = sort !== 'due'
  if (createdAfter !== null) {
    conditions.push(`created_at > ${parameter(createdAfter)}`)
    if (isById) bounds.push(`id > ${parameter(idAt(createdAfter.getTime() - madeBeforeMs))}`)
  }
  if (createdBefore !== null) {
    conditions.push(`created_at < ${parameter(createdBefore)}`)
    if (isById) bounds.push(`id < ${parameter(idAt(createdBefore.getTime() + madeBeforeMs))}`)
  }
  if (dueBefore !== null) {
    const at = parameter(dueBefore)
    conditions.push(`timeout_at < ${at}`)
    if (!isById) bounds.push(`${due} < ${at}::timestamptz`)
  }
  for (const [name, value] of metadata) {
    const [of, is] = [parameter(name), parameter(value)]
    conditions.push(`case when metadata_bytes <= ${searchedBytes} then metadata ->> ${of}::text = ${is} else false end`)
  }
  const all = (parts: readonly string[]): string => parts.map((part) => ` and ${part}`).join('')
  return { conditions: all(conditions), bounds: all(bounds) }
}

const countsStatement: Statement = {
  name: 'consultations_counts',
  text: `select state, sum(total)::int as total from consultation_totals where organization_id = $1 group by state
    union all
    select 'due', (select count(*)::int from (select from consultation_requests
      where organization_id = $1 and state = 'pending' and ${byDue} and ${due} < $2::timestamptz limit ${mostDueCounted}) soon)`,
}

/** How many requests there are in each state, and how many of those that are pending time out before `soon`. */
export async function counts(
  db: Queryable,
  organizationId: string,
  soon: Date,
): Promise<Readonly<Record<State | 'due', number>>> {
  const rows = await db.execute<{ state: State | 'due'; total: number }>(countsStatement, [organizationId, soon])
  const none = Object.fromEntries(states.map((state) => [state, 0])) as Record<State, number>
  return { ...none, due: 0, ...Object.fromEntries(rows.map(({ state, total }) => [state, total])) }
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
