import type { Queryable, Statement } from '../../platform/database/db.ts'
import { bySubject, byTime } from '../store.ts'
import { readKinds, type ToldEvent } from './report.ts'

/** A place in the order of time. */
export interface Place {
  readonly at: Date
  readonly id: string
}

export interface ReportPage {
  readonly lookedAt: number
  /** Null at the end. */
  readonly last: Place | null
  /** Events whose columns contradict their records: they may be in another period, or of another kind, than their record says. */
  readonly misfits: number
  /** The seals of its events that are first and last in the chain; `lastSeal` is null when the last one is not sealed yet. */
  readonly firstSeal: number | null
  readonly lastSeal: number | null
  readonly events: readonly ToldEvent[]
}

interface Row {
  looked_at: number
  last_at: Date | null
  last_id: string | null
  misfits: number
  first_seal: number | null
  last_seal: number | null
  events: string | null
}

/** Events that one statement looks at. */
export const pageEvents = 2_000
/** What was asked, and who owned the agent, is among this many events before; a request has a handful. */
const lookedBack = 100

const sealOf = (direction: 'asc' | 'desc'): string => `
  (select s.number from (select era, xact, id from looked order by era ${direction}, xact ${direction}, id ${direction} limit 1) p
    cross join lateral (
      select a.number from audit_seals a where a.organization_id = $1 and a.last_position > 0
        and (a.last_era, a.last_xact, a.last_id) >= (p.era, p.xact, p.id)
      order by a.last_era, a.last_xact, a.last_id limit 1) s)`

/** The newest event of a subject, among the last ones before a time, that meets a condition. */
const newestOf = (subject: string, before: string, condition: string): string => `
  select * from (select e.* from events e where e.organization_id = $1 and e.subject_id = ${subject} and ${bySubject}
      and e.occurred_at <= ${before} order by e.occurred_at desc, e.id desc limit ${lookedBack}) recent
  where ${condition} order by occurred_at desc, id desc limit 1`

const pageStatement: Statement = {
  name: 'audit_report_page',
  text: `
    with looked as materialized (
      select e.era, e.xact, e.id, e.occurred_at, e.kind, e.subject_id, hitl_audit_fits(e) as fits from events e
      where e.organization_id = $1 and ${byTime} and e.occurred_at < $2 and (e.occurred_at, e.id) > ($3, $4)
      order by e.occurred_at, e.id limit ${pageEvents}
    ), ended as (
      select occurred_at as last_at, id as last_id from looked order by occurred_at desc, id desc limit 1
    ), told as (
      select looked.occurred_at, looked.id, json_build_object(
          'id', r->'id', 'kind', r->'kind', 'at', r->'occurred_at', 'subject', r->'subject', 'actor', r->'actor',
          'before', r->'before',
          'after', case jsonb_typeof(r#>'{after,events}') when 'array'
            then jsonb_set(r->'after', '{events}', to_jsonb(jsonb_array_length(r#>'{after,events}'))) else r->'after' end,
          'reason', left(coalesce(x->>'reason', r#>>'{after,reason}'), 1000),
          'asked', asked.told) as event
      from looked cross join lateral (
        select e.record::jsonb as r, e.erasable::jsonb as x from events e
        where e.organization_id = $1 and (e.era, e.xact, e.id) = (looked.era, looked.xact, looked.id) offset 0) e
      left join lateral (
        select json_build_object('at', a.r->'occurred_at', 'agent_id', a.r#>'{actor,id}',
          'key_maker_id', (select k.actor_id from events k where k.organization_id = $1
            and k.subject_id = (a.r#>>'{actor,key_id}')::uuid and k.${bySubject} and k.occurred_at <= looked.occurred_at
            order by k.occurred_at, k.id limit 1),
          'owner_id', (select (o.record::jsonb)#>>'{after,owner_id}' from (${newestOf(
            `(a.r#>>'{actor,id}')::uuid`,
            'looked.occurred_at',
            `kind in ('agent.created', 'agent.changed', 'agent.paused', 'agent.stopped', 'agent.resumed')`,
          )}) o)) as told
        from (select record::jsonb as r from (${newestOf(
          'looked.subject_id',
          'looked.occurred_at',
          `kind in ('request.created', 'request.revised')`,
        )}) newest offset 0) a
      ) asked on looked.kind = 'request.responded'
      where looked.kind = any($5::text[])
    )
    select (select count(*) from looked)::int as looked_at, (select last_at from ended) as last_at,
      (select last_id from ended) as last_id, (select count(*) from looked where not fits)::int as misfits,
      ${sealOf('asc')} as first_seal, ${sealOf('desc')} as last_seal,
      (select json_agg(event order by occurred_at, id) from told)::text as events`,
}

/** The events after `from` and before `until`, in the order of time. */
export async function page(db: Queryable, organizationId: string, from: Place, until: Date): Promise<ReportPage> {
  const [row] = await db.execute<Row>(pageStatement, [organizationId, until, from.at, from.id, readKinds])
  if (row === undefined) throw new Error('a page of a report has one row')
  const { looked_at, last_at, last_id, misfits, first_seal, last_seal, events } = row
  return {
    lookedAt: looked_at,
    last: looked_at < pageEvents || last_at === null || last_id === null ? null : { at: last_at, id: last_id },
    misfits,
    firstSeal: first_seal,
    lastSeal: last_seal,
    events: events === null ? [] : (JSON.parse(events) as ToldEvent[]),
  }
}

const restStatement: Statement = {
  name: 'audit_report_rest',
  text: `select count(*)::int as events from (
    select from events e where e.organization_id = $1 and ${byTime} and e.occurred_at < $2 and (e.occurred_at, e.id) > ($3, $4)
    order by e.occurred_at, e.id limit 100000) rest`,
}

/** How many events are after `from` and before `until`; counted up to 100 000. */
export async function rest(db: Queryable, organizationId: string, from: Place, until: Date): Promise<number> {
  const [row] = await db.execute<{ events: number }>(restStatement, [organizationId, until, from.at, from.id])
  return row?.events ?? 0
}

export interface ReportedHead {
  readonly number: number
  readonly head: string
}

const headsStatement: Statement = {
  name: 'audit_report_heads',
  text: `select s.number, s.head from unnest($2::bigint[]) as wanted(number) cross join lateral (
    select * from audit_seals a where a.organization_id = $1 and a.number = wanted.number offset 0) s order by s.number`,
}

/** The heads of these seals, as far as they are there. */
export async function heads(
  db: Queryable,
  organizationId: string,
  numbers: readonly number[],
): Promise<readonly ReportedHead[]> {
  return (await db.execute<ReportedHead>(headsStatement, [organizationId, numbers])).map(({ number, head }) => ({
    number,
    head,
  }))
}
