import type { Queryable, Statement } from '../../platform/database/db.ts'
import { bySubject, byTime } from '../store.ts'

/** An event as it is read back; the texts are JSON. */
export interface StoredEvent {
  readonly id: string
  readonly occurredAt: Date
  readonly record: string
  /** Without its salt, which only verifiers need; null when there is none, or it was erased. */
  readonly erasable: string | null
  readonly isErased: boolean
  /** The row's columns contradict the record: one of them was changed in the database. */
  readonly isAltered: boolean
  /** The seal whose range covers its place in the order; null until it is sealed. */
  readonly seal: number | null
}

/** A place in a list that is ordered by time. */
export interface TimeKey {
  readonly occurredAt: Date
  readonly id: string
}

export interface EventFilter {
  readonly organizationId: string
  readonly since: Date | null
  readonly until: Date | null
  readonly actorKind: string | null
  readonly actorId: string | null
  readonly kind: string | null
  readonly subjectId: string | null
  /** Where the previous page ended. */
  readonly after: TimeKey | null
  readonly oldestFirst: boolean
  readonly limit: number
}

export interface EventPage {
  readonly items: readonly StoredEvent[]
  /** Where the next page begins; null on the last page. */
  readonly next: TimeKey | null
}

interface Row {
  id: string
  occurred_at: Date
  record: string
  erasable: string | null
  is_erased: boolean
  is_altered: boolean
  seal: number | null
}

/**
 * The most rows that one page searches for actors and kinds, which have no index: one would cost every event as much as the
 * two existing indexes. A page that finds few of them is short, with a cursor after the last row it searched.
 */
const scanned = 10_000

/** What the events of a page come to at most, unless the first is larger. */
const pageBytes = 1_048_576

/** The statement is prepared once per combination of filters. */
export async function list(db: Queryable, filter: EventFilter): Promise<EventPage> {
  const { statement, values } = statementOf(filter)
  const rows = await db.execute<Row & { looked_at: number; last_at: Date; last_id: string; found: number }>(
    statement,
    values,
  )
  const items = rows.filter((row) => row.id !== null).slice(0, filter.limit)
  const [first] = rows
  const last = items.at(-1)
  const more = items.length > 0 && items.length < (first?.found ?? 0)
  if (more && last !== undefined) return { items: items.map(toEvent), next: keyOf(last.occurred_at, last.id) }
  const next = first !== undefined && first.looked_at === scanned ? keyOf(first.last_at, first.last_id) : null
  return { items: items.map(toEvent), next }
}

function statementOf(filter: EventFilter): { readonly statement: Statement; readonly values: readonly unknown[] } {
  const { organizationId, since, until, actorKind, actorId, kind, subjectId, after, oldestFirst, limit } = filter
  const values: unknown[] = [organizationId, limit + 1]
  // Single letters: PostgreSQL distinguishes names only by their first 63 characters.
  const names: string[] = []
  const given = (name: string, value: unknown, condition: (parameter: string) => string): string => {
    if (value === null) return ''
    names.push(name)
    return ` and ${condition(`$${values.push(value)}`)}`
  }
  const index = subjectId === null ? byTime : bySubject
  const within =
    given('s', subjectId, (p) => `e.subject_id = ${p}`) +
    given('f', since, (p) => `e.occurred_at >= ${p}`) +
    given('u', until, (p) => `e.occurred_at < ${p}`) +
    (after === null
      ? ''
      : given('c', after.occurredAt, (p) => {
          const than = oldestFirst ? '>' : '<'
          return `(e.occurred_at, e.id) ${than} (${p}, $${values.push(after.id)})`
        }))
  const wanted =
    given('t', actorKind, (p) => `s.actor_kind = ${p}`) +
    given('a', actorId, (p) => `s.actor_id = ${p}`) +
    given('k', kind, (p) => `s.kind = ${p}`)
  const direction = oldestFirst ? 'asc' : 'desc'
  // Without such filters no row is skipped.
  const look = wanted === '' ? '$2' : String(scanned)
  return {
    statement: {
      name: `events_list_${direction}_${names.join('')}`,
      text: `
        with looked as materialized (
          select e.era, e.xact, e.id, e.occurred_at, e.kind, e.actor_kind, e.actor_id from events e
          where e.organization_id = $1 and ${index}${within} order by e.occurred_at ${direction}, e.id ${direction} limit ${look}
        ), ended as (
          select count(*) over ()::int as looked_at, occurred_at as last_at, id as last_id from looked
          order by occurred_at ${opposite(direction)}, id ${opposite(direction)} limit 1
        ), page as (
          select s.* from looked s where true${wanted} order by s.occurred_at ${direction}, s.id ${direction} limit $2
        )
        select ended.*, e.id, e.occurred_at, e.record, e.erasable, e.is_erased, e.is_altered, e.found, sealed.number as seal
        from ended left join (
          select *, sum(bytes) over (order by occurred_at ${direction}, id ${direction}) as sum, count(*) over ()::int as found
          from (select e.era, e.xact, e.id, e.occurred_at, e.record, (e.erasable::jsonb - 'salt')::text as erasable,
              e.erasable is null and e.record like '%"erasable_sha256":"%' as is_erased,
              not hitl_audit_fits(e) as is_altered,
              octet_length(e.record) + coalesce(octet_length(e.erasable), 0) as bytes
            from page cross join lateral (select * from events e
              where e.organization_id = $1 and (e.era, e.xact, e.id) = (page.era, page.xact, page.id) offset 0) e) weighed
        ) e on e.sum <= ${pageBytes} or e.sum = e.bytes
        left join lateral (
          select s.number from audit_seals s where s.organization_id = $1 and s.last_position > 0
            and (s.last_era, s.last_xact, s.last_id) >= (e.era, e.xact, e.id)
          order by s.last_era, s.last_xact, s.last_id limit 1) sealed on true
        order by e.occurred_at ${direction}, e.id ${direction}`,
    },
    values,
  }
}

const opposite = (direction: 'asc' | 'desc'): 'asc' | 'desc' => (direction === 'asc' ? 'desc' : 'asc')

const keyOf = (occurredAt: Date, id: string): TimeKey => ({ occurredAt, id })

function toEvent(row: Row): StoredEvent {
  return {
    id: row.id,
    occurredAt: row.occurred_at,
    record: row.record,
    erasable: row.erasable,
    isErased: row.is_erased,
    isAltered: row.is_altered,
    seal: row.seal,
  }
}
