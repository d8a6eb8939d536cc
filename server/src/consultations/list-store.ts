import { plannedFor, type Queryable, type Statement } from '../platform/database/db.ts'
import { closing, type Row, shownState, toConsultation } from './columns.ts'
import { type Consultation, mostCounted, type Sort, type State, states } from './consultation.ts'
import type { Answered, ListFilter, Place } from './list-filter.ts'
import {
  asideIds,
  byDue,
  conditionsOnFound,
  due,
  isDelivered,
  type Parameter,
  rank,
  rankOf,
  riskyPending,
  sourceOf,
} from './list-sources.ts'
import { prefixOf } from './search/document.ts'
import { following, greatestId, leastId } from './search/parts.ts'
import type { Search } from './search/query.ts'
import { listedColumns } from './store.ts'

const byUpdate = `updated_at > '-infinity'`
const byChange = '(attempts > 0 or settled is not null)'

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
  /** What was searched for. */
  readonly search: Search | null
}

const orders = {
  newest: { by: 'id desc', after: ({ id }: Place, p: Parameter) => `id < ${p(id)}` },
  oldest: { by: 'id', after: ({ id }: Place, p: Parameter) => `id > ${p(id)}` },
  due: {
    by: `${due}, id`,
    after: (place: Place, p: Parameter) => `(${due}, id) > (${p(dueText(place))}::timestamptz, ${p(place.id)}::uuid)`,
  },
  priority: {
    by: 'rank, id desc',
    after: ({ id, rank: at }: Place, p: Parameter) => {
      const then = p(at ?? 0)
      return `(rank > ${then}::int or (rank = ${then}::int and id < ${p(id)}))`
    },
  },
  relevance: {
    by: 'rank desc, id desc',
    after: ({ id, rank: at }: Place, p: Parameter) => {
      if (at === null) return 'true'
      const then = p(at)
      return `(rank < ${then}::int or (rank = ${then}::int and id < ${p(id)}))`
    },
  },
} as const satisfies Record<Sort, { readonly by: string; after(place: Place, parameter: Parameter): string }>

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

/** Whether the kept totals count what the filter finds. */
const isCounted = ({ priorities: wanted, risks, runId, aside }: ListFilter, looked: Looked): boolean =>
  wanted === null && risks === null && runId === null && aside === null && looked.conditions === ''

/** The statement is prepared once per combination of the filters that have totals; with others it is planned for their values. */
export async function list(db: Queryable, filter: ListFilter): Promise<Page> {
  const { agentId, states, updatedAfter, updatedUntil, sort, after, limit, offset, light, search } = filter
  const { text, values, looked } = pageOf(filter)
  const [scored, newest] = search === null ? ['', ''] : [', page.rank as page_rank', ', bound.bound_window']
  const whole = `${text}, read as (
      select c.*, page.place${scored}, sum(c.bytes) over (order by page.place) as sum, count(*) over ()::int as looked_at
      from page cross join lateral (select ${listedColumns(light)} from consultation_requests c ${closing}
        where (c.organization_id, c.id) = (page.organization_id, page.id) offset 0) c)
    select counted.total, bound.bound_id, bound.bound_due, bound.bound_rank${newest}, c.*
    from counted left join bound on true left join read c on c.sum <= ${pageBytes} or c.sum = c.bytes
    order by c.place`
  const isPrepared = search === null && sort !== 'priority' && (states?.length ?? 1) === 1 && isCounted(filter, looked)
  const [state] = states ?? []
  const kind = state === undefined || sort === 'due' ? '' : isDelivered(state) ? `_${state}` : '_state'
  const own = agentId === null ? '' : '_own'
  const found = isPrepared
    ? await db.execute<ListedRow>(
        {
          name: `consultations_list_${sort}${own}${kind}${updatedAfter === null ? '' : '_changed'}${after === null ? '' : '_cursor'}${light ? '' : '_full'}`,
          text: whole,
        },
        values,
      )
    : await db.run<ListedRow>(plannedFor(values, whole))
  const shown = found.flatMap((row) => (row.id === null ? [] : [row])).slice(0, limit)
  const items = shown.map(toConsultation)
  const [first] = found
  const lastItem = items.at(-1)
  const isCut = items.length < (first?.looked_at ?? 0)
  const next = isCut && lastItem !== undefined ? placeOf(lastItem) : boundOf(first)
  const total = first === undefined ? 0 : first.total
  const page = { items, total, limit, offset, next, updatedUntil, search }
  if (sort !== 'relevance' || next === null) return page
  if (!isCut) return { ...page, next: { ...next, window: next.id } }
  // The pages of a window are in one order, whatever came in meanwhile.
  const window = after?.window ?? following(first?.bound_window ?? leastId)
  return { ...page, next: { ...next, rank: shown.at(-1)?.page_rank ?? null, window } }
}

/** The ids of a page, as `page` of a statement that goes on. */
function pageOf(filter: ListFilter) {
  const { organizationId, updatedAfter, sort, after, limit, offset, search } = filter
  // One more than asked for: then there is a next page.
  const values: unknown[] = [organizationId, limit + 1, offset]
  const parameter = (value: unknown): string => `$${values.push(value)}`
  const { by, after: behind } = orders[sort]
  const looked = lookedFor(filter, parameter)
  const beyond = (): string => (after === null ? '' : ` and ${behind(after, parameter)}`)
  const parts = { filter, parameter, looked, beyond, by }
  const text =
    search !== null ? fromFound(parts, search) : updatedAfter === null ? fromSource(parts) : fromChanges(parts)
  return { text, values, looked }
}

/** How many requests a page has, which are not read for it, and whether more may follow. */
export async function countPage(db: Queryable, filter: ListFilter): Promise<PageCount> {
  const { text, values } = pageOf(filter)
  const counted = `${text} select (select count(*)::int from page) as found,
    exists (select from bound where bound_id is not null) as "goesOn"`
  const [row] = await db.run<{ readonly found: number; readonly goesOn: boolean }>(plannedFor(values, counted))
  const { found = 0, goesOn = false } = row ?? {}
  return { count: Math.min(found, filter.limit), isMore: found > filter.limit || goesOn }
}

export interface PageCount {
  readonly count: number
  readonly isMore: boolean
}

const boundOf = (row: ListedRow | undefined): Place | null =>
  row?.bound_id == null ? null : { id: row.bound_id, due: row.bound_due, rank: row.bound_rank, window: null }

type ListedRow = {
  readonly total: number | null
  readonly bound_id: string | null
  readonly bound_due: Date | null
  readonly bound_rank: number | null
  /** Of a search: the newest of what was looked at. */
  readonly bound_window?: string | null
  readonly page_rank?: number | null
  readonly looked_at: number | null
} & (Row | { readonly id: null })

const placeOf = ({ id, timeoutAt, priority }: Consultation): Place => ({
  id,
  due: timeoutAt,
  rank: rankOf(priority),
  window: null,
})

const dueText = ({ due: at }: Place): string => at?.toISOString() ?? 'infinity'

const noBound = 'bound as (select null::uuid as bound_id, null::timestamptz as bound_due, null::int as bound_rank)'
const numbered = (rows: string): string => `select page.*, row_number() over () as place from (${rows}) page`

interface Parts {
  readonly filter: ListFilter
  readonly parameter: Parameter
  readonly looked: Looked
  readonly beyond: () => string
  readonly by: string
}

/** What an index finds is a page as it stands; otherwise a page looks through a bounded number of requests. */
function fromSource({ filter, parameter, looked, beyond, by }: Parts): string {
  const { aside, sort } = filter
  const others = aside === null || aside.isWanted ? '' : ` and id not in ${asideIds(aside, parameter)}`
  const begins = sort === 'priority' && aside?.isWanted !== true ? '' : beyond()
  const within = `${looked.bounds}${others}${begins}`
  const { rows, conditions } = sourceOf({ filter, parameter, within, by })
  const all = `${conditions}${looked.conditions}`
  const counted = isCounted(filter, looked) ? keptTotal(filter, parameter) : 'select null::int as total'
  if (all !== '') return fromLooked({ counted, rows: rows(String(mostLooked)), fits: all, by, sort })
  return `with counted as (${counted}), ${noBound},
    page as (${numbered(`select organization_id, id from ${rows('$2::bigint + $3::bigint')} found order by ${by} limit $2 offset $3`)})`
}

/** Exact, and updated by the statements that change states: a count over 200 000 rows took 20 ms. */
function keptTotal({ agentId, states, sort }: ListFilter, parameter: Parameter): string {
  const own = agentId === null ? '' : ` and agent_id = ${parameter(agentId)}`
  const wanted = sort === 'due' ? ['pending'] : states
  const inStates = wanted === null ? '' : ` and state = any(${parameter(wanted)}::text[])`
  return `select coalesce(sum(total), 0)::int as total from consultation_totals where organization_id = $1${own}${inStates}`
}

/**
 * A differential poll usually finds few rows: they are collected by the times of their changes first, and counted as they
 * stand.
 */
function fromChanges({ filter, parameter, looked, beyond, by }: Parts): string {
  const { updatedAfter, updatedUntil, agentId, states, sort, priorities: wanted, risks, runId, aside } = filter
  const [after, until] = [parameter(updatedAfter), parameter(updatedUntil)]
  const own = agentId === null ? '' : ` and agent_id = ${parameter(agentId)}`
  const shown = sort === 'due' ? ['pending'] : states
  const others = [
    ...(shown === null ? [] : [` and state = any(${parameter(shown)}::text[])`]),
    ...(wanted === null ? [] : [` and priority = any(${parameter(wanted)}::text[])`]),
    ...(risks === null ? [] : [` and risk = any(${parameter(risks)}::text[])`]),
    ...(runId === null ? [] : [` and run_id = ${parameter(runId)}`]),
    ...(aside === null ? [] : [` and id ${aside.isWanted ? '' : 'not '}in ${asideIds(aside, parameter)}`]),
  ]
  const fits = `${own}${others.join('')}${looked.conditions}${looked.bounds}`
  // Apart and materialized: for a union of both, rows in the order of their ids would be wanted, which the primary key has.
  return `with by_request as materialized (select id from consultation_requests
      where organization_id = $1 and updated_at > ${after} and updated_at <= ${until} and ${byUpdate}),
    by_delivery as materialized (select subject_id as id from deliveries
      where organization_id = $1 and changed_at > ${after} and changed_at <= ${until} and ${byChange}),
    found as materialized (select id from by_request union select id from by_delivery),
    changed as materialized (select organization_id, id, timeout_at, ${rank} as rank, (true${fits}) as fits from found
      cross join lateral (
        select c.organization_id, c.agent_id, c.timeout_at, c.created_at, c.metadata, c.metadata_bytes, c.updated_at,
          c.priority, c.risk, c.tags, c.run_id, c.decision, c.decided_by, c.responder_id, c.revision, c.held_until, ${shownState} as state, o.changed_at
        from consultation_requests c left join lateral (select settled, changed_at from deliveries o
          where o.organization_id = $1 and o.id = c.callback_id offset 0) o on true
        where c.organization_id = $1 and c.id = found.id offset 0) c
      where greatest(c.updated_at, c.changed_at) <= ${until}),
    matching as (select * from changed where fits), ${noBound},
    counted as (select count(*)::int as total from matching),
    page as (${numbered(`select organization_id, id from matching where true${beyond()} order by ${by} limit $2 offset $3`)})`
}

/** A page ends with the last row that was looked at, however few of them match; counting the rest could take seconds. */
function fromLooked(parts: Readonly<Record<'counted' | 'rows' | 'fits' | 'by' | 'sort', string>>): string {
  const { counted, rows, fits, by, sort } = parts
  const place = sort === 'priority' ? 'rank' : 'null::int as rank'
  return `with counted as (${counted}),
    looked as materialized (select organization_id, id, timeout_at, ${place}, (true${fits}) as fits from ${rows} found
      order by ${by} limit ${mostLooked}),
    page as (${numbered(`select organization_id, id from looked where fits order by ${by} limit $2 offset $3`)}),
    bound as (select id as bound_id, timeout_at as bound_due, rank as bound_rank from looked order by ${by}
      limit 1 offset ${mostLooked - 1})`
}

/**
 * The newest matches, so many as any page looks through (0033_search.sql): by relevance, these are in order, and the pages behind them
 * go on with the next older ones. Where other filters leave few of them, the page has few.
 */
function fromFound({ filter, parameter, looked, beyond, by }: Parts, search: Search): string {
  const { organizationId, agentId, createdAfter, createdBefore, sort, after } = filter
  const since = createdAfter === null ? leastId : idAt(createdAfter.getTime() - madeBeforeMs)
  const upTo = createdBefore === null ? greatestId : idAt(createdBefore.getTime() + madeBeforeMs)
  const reached = (sort === 'relevance' ? after?.window : after?.id) ?? greatestId
  const before = reached < upTo ? reached : upTo
  const given = [prefixOf(organizationId), search.query, agentId, since, before, mostLooked, sort === 'relevance']
  const types = ['text', 'text', 'uuid', 'uuid', 'uuid', 'integer', 'boolean']
  const asked = given.map((value, at) => `${parameter(value)}::${types[at]}`).join(', ')
  const fits = `${conditionsOnFound({ filter, parameter })}${looked.conditions}`
  // Where nothing else is asked for, none of them has to be read.
  const rows =
    fits === ''
      ? '(select $1::uuid as organization_id, s.request_id as id) found'
      : `(select * from consultation_requests c where c.organization_id = $1 and c.id = s.request_id offset 0) found`
  return `with counted as (select null::int as total),
    candidates as materialized (select request_id, score from hitl_search(${asked})),
    looked as materialized (select found.organization_id, found.id, s.score as rank, (true${fits}${looked.bounds}) as fits
      from candidates s cross join lateral ${rows} where s.score is not null),
    page as (${numbered(`select organization_id, id, rank from looked where fits${beyond()} order by ${by} limit $2 offset $3`)}),
    bound as (select (select request_id from candidates where score is null) as bound_id, null::timestamptz as bound_due,
      null::int as bound_rank, (select request_id from candidates order by request_id desc limit 1) as bound_window)`
}

type Looked = ReturnType<typeof lookedFor>

/** `bounds`: conditions on what the index is ordered by, which keep rows from being looked at. */
function lookedFor(filter: ListFilter, parameter: Parameter) {
  const { createdAfter, createdBefore, dueBefore, metadata, tags, answered, sort } = filter
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
  if (tags !== null) conditions.push(`tags && ${parameter(tags)}::text[]`)
  for (const [name, value] of metadata) {
    const [of, is] = [parameter(name), parameter(value)]
    conditions.push(`case when metadata_bytes <= ${searchedBytes} then metadata ->> ${of}::text = ${is} else false end`)
  }
  if (answered !== null) conditions.push(...answeredConditions(answered, parameter))
  const all = (parts: readonly string[]): string => parts.map((part) => ` and ${part}`).join('')
  return { conditions: all(conditions), bounds: all(bounds) }
}

function answeredConditions(answered: Answered, parameter: Parameter): readonly string[] {
  const { decision, decidedBy, responderId, after, before, isReleased } = answered
  // What stands around it has columns of the same names.
  const at = `(select a.answered_at from (select id as request, revision as answer_to, responder_id as responder) own
    cross join lateral (select a.answered_at from consultation_answers a where a.organization_id = $1
      and a.request_id = own.request and a.revision = own.answer_to and a.responder_id = own.responder offset 0) a)`
  return [
    ...(decision === null ? [] : [`decision = ${parameter(decision)}`]),
    ...(decidedBy === null ? [] : [`decided_by = ${parameter(decidedBy)}`]),
    ...(responderId === null ? [] : [`responder_id = ${parameter(responderId)}::uuid`]),
    ...(after === null ? [] : [`${at} > ${parameter(after)}::timestamptz`]),
    ...(before === null ? [] : [`${at} < ${parameter(before)}::timestamptz`]),
    ...(isReleased ? ['held_until is null'] : []),
  ]
}

// As many more are counted as one of these people put aside: what is left for them is exact up to `mostCounted`.
const most = `${mostCounted} + (select coalesce(max(total), 0) from aside)`
const countsStatement: Statement = {
  name: 'consultations_counts',
  text: `with aside as materialized (
      select s.user_id, count(*)::int as total, (count(*) filter (where c.timeout_at < $2::timestamptz))::int as due,
        (count(*) filter (where c.risk in ('high', 'critical')))::int as risky
      from (select user_id, request_id from request_snoozes
        where organization_id = $1 and user_id = any($3::uuid[]) and until > $4) s
      cross join lateral (select timeout_at, risk from consultation_requests c
        where organization_id = $1 and c.id = s.request_id and state = 'pending' offset 0) c
      group by s.user_id)
    select state, null::uuid as "userId", sum(total)::int as total, null::int as due, null::int as risky
      from consultation_totals where organization_id = $1 group by state
    union all
    select null, null, null,
      (select count(*)::int from (select from consultation_requests
        where organization_id = $1 and state = 'pending' and ${byDue} and ${due} < $2::timestamptz limit ${most}) soon),
      (select count(*)::int from (select from consultation_requests
        where organization_id = $1 and ${riskyPending} limit ${most}) risky)
    union all
    select null, user_id, total, due, risky from aside`,
}

/** Numbers of pending requests; the second and third are exact up to `mostCounted`. */
export interface PendingCounts {
  readonly total: number
  readonly due: number
  readonly risky: number
}

export interface Counts {
  readonly byState: Readonly<Record<State, number>>
  readonly pending: PendingCounts
  /** Of these, what each person put aside; who put nothing aside is not there. */
  readonly aside: ReadonlyMap<string, PendingCounts>
}

type CountsRow = { readonly state: State | null; readonly userId: string | null } & PendingCounts

/** How many requests there are in each state; of those that are pending, which time out before `soon`, and which are of high risk. */
export async function counts(
  db: Queryable,
  organizationId: string,
  userIds: readonly string[],
  { now, soon }: { readonly now: Date; readonly soon: Date },
): Promise<Counts> {
  const rows = await db.execute<CountsRow>(countsStatement, [organizationId, soon, userIds, now])
  const byState = Object.fromEntries(states.map((state) => [state, 0])) as Record<State, number>
  const aside = new Map<string, PendingCounts>()
  let [due, risky] = [0, 0]
  for (const row of rows) {
    if (row.state !== null) byState[row.state] = row.total
    else if (row.userId !== null) aside.set(row.userId, row)
    else [due, risky] = [row.due, row.risky]
  }
  return { byState, pending: { total: byState.pending, due, risky }, aside }
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
