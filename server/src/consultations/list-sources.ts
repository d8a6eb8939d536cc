import { shownState } from './columns.ts'
import type { State } from './consultation.ts'
import type { Aside, ListFilter } from './list-filter.ts'
import { type Priority, priorities, type Risk } from './questions/tiers.ts'

/**
 * Where a page comes from: requests in the order of the list, through the index that leaves out most. What that index does not
 * know is a condition, on the requests that are looked through.
 */
export interface Source {
  /** A query of at most `most` requests, in any order. */
  readonly rows: (most: string) => string
  /** What is left to be looked at of each of them, as ` and ...`; empty: they all match. */
  readonly conditions: string
}

export type Parameter = (value: unknown) => string

// Conditions that every request meets: a statement that repeats one may use the partial index with that condition, and no
// other statement may (0006_consultations.sql). A differential poll uses only the indexes on the times of changes.
const byAgent = `agent_id <> '00000000-0000-0000-0000-000000000000'`
// Not of every row: which rows lists look for in these ways (0021_callback_progress.sql, 0025_list_filters.sql).
const byState = `(state <> 'responded' or callback_id is null)`
const byPriority = `priority <> 'normal'`
const byRisk = `risk in ('high', 'critical')`
const byRun = 'run_id is not null'
export const due = `coalesce(timeout_at, 'infinity')`
export const byDue = `${due} > '-infinity'`
/** Of what is pending. */
export const riskyPending = `state = 'pending' and ${byRisk}`

const rare: ReadonlySet<Priority | Risk> = new Set<Priority | Risk>(['urgent', 'high', 'low', 'critical'])
const risky: ReadonlySet<Risk> = new Set(['high', 'critical'])

/** The most urgent first. */
export const ranked: readonly Priority[] = priorities.toReversed()
export const rankOf = (priority: Priority): number => ranked.indexOf(priority)
export const rank = `case priority ${ranked.map((one, at) => `when '${one}' then ${at}`).join(' ')} end`

/** An answered request with a callback shows how that fares (columns.ts): in these states it is found by its delivery. */
const deliveredIn: Readonly<Partial<Record<State, string>>> = {
  responded: 'is null',
  callback_sent: `= 'sent'`,
  callback_failed: `= 'failed'`,
}
export const isDelivered = (state: State): boolean => state in deliveredIn

/** Conditions on what an index has after its first columns: bounds of times, and where the page begins. */
interface Parts {
  readonly filter: ListFilter
  readonly parameter: Parameter
  readonly within: string
  readonly by: string
}

export function sourceOf(parts: Parts): Source {
  const { sort, runId, priorities: wanted, risks, aside } = parts.filter
  if (aside?.isWanted === true) return asideSource(parts, aside)
  if (sort === 'due') return dueSource(parts)
  if (sort === 'priority') return rankedSource(parts)
  if (runId !== null) {
    const run = `run_id = ${parts.parameter(runId)} and ${byRun}`
    return narrow(parts, () => [run], ['priorities', 'risks', 'agentId', 'states'])
  }
  if (wanted?.every((one) => rare.has(one))) {
    const index = isPending(parts.filter) ? `state = 'pending' and ${byPriority}` : byPriority
    return narrow(parts, () => wanted.map((one) => `priority = '${one}' and ${index}`), ['risks', 'agentId', 'states'])
  }
  if (risks?.every((one) => risky.has(one))) {
    const index = isPending(parts.filter) ? riskyPending : byRisk
    const classes = () => risks.map((one) => `risk = '${one}' and ${index}`)
    return narrow(parts, classes, ['priorities', 'agentId', 'states'])
  }
  return byStateAndAgent(parts)
}

const isPending = ({ states }: ListFilter): boolean => states?.length === 1 && states[0] === 'pending'

type Rest = 'priorities' | 'risks' | 'runId' | 'agentId' | 'states'

function conditionsOn({ filter, parameter }: Parts, names: readonly Rest[]): string {
  const { priorities: wanted, risks, runId, agentId, states } = filter
  const of: Readonly<Record<Rest, () => string>> = {
    priorities: () => (wanted === null ? '' : ` and priority = any(${parameter(wanted)}::text[])`),
    risks: () => (risks === null ? '' : ` and risk = any(${parameter(risks)}::text[])`),
    runId: () => (runId === null ? '' : ` and run_id = ${parameter(runId)}`),
    agentId: () => (agentId === null ? '' : ` and agent_id = ${parameter(agentId)}`),
    states: () => (states === null ? '' : ` and ${inStates(states, parameter)}`),
  }
  return names.map((name) => of[name]()).join('')
}

/** Of rows named `found`. */
function inStates(states: readonly State[], parameter: Parameter): string {
  if (!states.some(isDelivered)) return `state = any(${parameter(states)}::text[])`
  const shown = shownState.replaceAll('c.', 'found.')
  return `(select ${shown} from (select) one left join deliveries o
    on o.organization_id = found.organization_id and o.id = found.callback_id) = any(${parameter(states)}::text[])`
}

/** What the index of a search does not know: of what it finds, all are looked at. Of rows named `found`. */
export function conditionsOnFound({ filter, parameter }: Pick<Parts, 'filter' | 'parameter'>): string {
  const { aside, updatedAfter } = filter
  const parts = { filter, parameter, within: '', by: '' }
  const isAside = aside === null ? '' : ` and id ${aside.isWanted ? '' : 'not '}in ${asideIds(aside, parameter)}`
  const isChanged =
    updatedAfter === null
      ? ''
      : ` and greatest(found.updated_at, (select o.changed_at from deliveries o
          where o.organization_id = found.organization_id and o.id = found.callback_id)) > ${parameter(updatedAfter)}`
  return `${conditionsOn(parts, ['priorities', 'risks', 'runId', 'states'])}${isAside}${isChanged}`
}

const limited = (conditions: string, { within, by }: Parts, most: string, from = 'consultation_requests'): string =>
  `(select * from ${from} where organization_id = $1 and ${conditions}${within} order by ${by} limit ${most})`

/** One way into the index for each of `classes`. */
function narrow(parts: Parts, classes: () => readonly string[], rest: readonly Rest[]): Source {
  const left = isPending(parts.filter) && rest.length < 4 ? rest.filter((name) => name !== 'states') : rest
  const each = classes()
  return {
    rows: (most) => united(each.map((one) => limited(one, parts, most))),
    conditions: conditionsOn(parts, left),
  }
}

const united = (queries: readonly string[]): string =>
  queries.length === 1 ? (queries[0] ?? '') : `(${queries.join(' union all ')})`

/** Those that are pending, by when they time out. */
function dueSource(parts: Parts): Source {
  const { agentId } = parts.filter
  const own = agentId === null ? '' : `agent_id = ${parts.parameter(agentId)} and `
  return {
    rows: (most) => limited(`${own}state = 'pending' and ${byDue}`, parts, most),
    conditions: conditionsOn(parts, ['priorities', 'risks', 'runId']),
  }
}

/**
 * Ids of what a person put aside, of which there is a bounded number (inbox/inbox.ts). Of all other requests: NOT IN, which
 * PostgreSQL looks up in a hash of them and never takes for another way in.
 */
export const asideIds = ({ userId, now }: Aside, parameter: Parameter): string =>
  `(select request_id from request_snoozes
    where organization_id = $1 and user_id = ${parameter(userId)} and until > ${parameter(now)})`

/** Those that a person put aside, by their primary keys. */
function asideSource(parts: Parts, aside: Aside): Source {
  const { within, by, parameter } = parts
  const ids = asideIds(aside, parameter)
  return {
    rows: (most) => `(select * from (select c.*, ${rank} as rank from ${ids} s cross join lateral
        (select * from consultation_requests c where organization_id = $1 and c.id = s.request_id and state = 'pending' offset 0) c) c
      where true${within} order by ${by} limit ${most})`,
    conditions: conditionsOn(parts, ['priorities', 'risks', 'runId', 'agentId']),
  }
}

/** One way in for each state. The index gives the order, and everything else is looked at. */
function byStateAndAgent(parts: Parts): Source {
  const { filter, parameter } = parts
  const { agentId, states } = filter
  const own = agentId === null ? '' : `agent_id = ${parameter(agentId)} and `
  const inState = (state: State): readonly ((most: string) => string)[] => {
    // Named in the text where a statement of its own looks for it.
    const written = isDelivered(state) || (states?.length ?? 0) > 1 ? `'${state}'` : parameter(state)
    const index = `${own && `${byAgent} and `}${byState}`
    const requests = (most: string) => limited(`${own}state = ${written} and ${index}`, parts, most)
    const delivered = (most: string) => answered(parts, state, own, most)
    return state === 'responded' ? [requests, delivered] : isDelivered(state) ? [delivered] : [requests]
  }
  const ways =
    states === null
      ? [(most: string) => limited(own === '' ? 'true' : `${own}${byAgent}`, parts, most)]
      : states.flatMap(inState)
  return {
    rows: (most) => united(ways.map((way) => way(most))),
    conditions: conditionsOn(parts, ['priorities', 'risks', 'runId']),
  }
}

/** By the deliveries that report the answers, whose index has the requests in the order of their ids. */
function answered({ within, by }: Parts, state: State, own: string, most: string): string {
  return `(select c.* from (select * from (
        select subject_id as id, id as callback_id from deliveries
        where organization_id = $1 and event = 'request.responded' and shown and settled ${deliveredIn[state]}) o where true${within}) o
      cross join lateral (select * from consultation_requests c where ${own}organization_id = $1 and c.id = o.id
        and c.callback_id = o.callback_id and state = 'responded' offset 0) c
      order by o.${by} limit ${most})`
}

/**
 * The most urgent first, and among them the newest: one priority after the other, each looked through only as far as those before
 * left room. Normal priority has no index: of it, everything is looked through, in its place of the order.
 */
function rankedSource(parts: Parts): Source {
  const { filter, parameter } = parts
  const { after, agentId, states } = filter
  const pending = isPending(filter) ? `state = 'pending' and ` : ''
  const from = after?.rank ?? 0
  const wanted = ranked.filter((one) => (filter.priorities ?? ranked).includes(one) && rankOf(one) >= from)
  const isBegun = after !== null && wanted.some((one) => rankOf(one) === from)
  const beyond = isBegun ? ` and id < ${parameter(after.id)}` : ''
  const hasPlain = wanted.includes('normal') && pending === ''
  const own = agentId === null || !hasPlain ? '' : `agent_id = ${parameter(agentId)} and ${byAgent} and `
  const columns = [...lookedColumns, `timeout_at`].join(', ')
  const way = (one: Priority, most: string): string => {
    const conditions =
      one === 'normal'
        ? `${pending && `${pending}${byState} and `}${own}true`
        : `${pending}priority = '${one}' and ${byPriority}`
    const within = `${parts.within}${rankOf(one) === from ? beyond : ''}`
    return `select ${columns}, ${rankOf(one)} as rank from ${limited(conditions, { ...parts, within, by: 'id desc' }, most)} one`
  }
  return {
    rows: (most) => {
      const room = (at: number): string =>
        [most, ...wanted.slice(0, at).map((one) => `(select count(*) from ${one}_ones)`)].join(' - ')
      const each = wanted.map((one, at) => `${one}_ones as materialized (${way(one, room(at))})`)
      // Behind the last of the priorities that are wanted there is nothing.
      if (each.length === 0) return `(select ${columns}, 0 as rank from consultation_requests where false)`
      return `(with ${each.join(', ')} ${wanted.map((one) => `select * from ${one}_ones`).join(' union all ')})`
    },
    conditions: ` and rank = ${rank}${conditionsOn(parts, ['risks', 'runId', 'agentId', ...(states === null || pending ? [] : ['states' as const])])}`,
  }
}

/** What conditions are about. */
const lookedColumns = [
  'organization_id',
  'id',
  'agent_id',
  'state',
  'callback_id',
  'created_at',
  'metadata',
  'metadata_bytes',
  'priority',
  'risk',
  'tags',
  'run_id',
  'decision',
  'decided_by',
  'responder_id',
  'revision',
  'held_until',
]
