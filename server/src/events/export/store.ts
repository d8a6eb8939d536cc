import type { Queryable, Statement } from '../../platform/db.ts'
import type { ChainKey } from '../seals/seal.ts'

/**
 * An export is read page by page along the chain, each page a statement of its own: no snapshot is held open for minutes, and
 * no page comes near the statement time-out. Sealed events never change their order, so the pages fit together; what a
 * purge takes away meanwhile is noticed as a gap. PostgreSQL writes the lines: a page arrives here as one text.
 */

/** Where an export begins, and what it was told about the seal before. */
export interface Beginning {
  readonly firstSeal: number
  readonly firstPosition: number
  readonly previousHead: string | null
  /** The place before the first event. */
  readonly at: ChainKey
}

/** The last seal there is at the moment. */
export interface Bound {
  readonly seal: number
  readonly position: number
  readonly at: ChainKey
  readonly head: string
}

const nowhere: ChainKey = { era: -32_768, xact: '0', id: '00000000-0000-0000-0000-000000000000' }

interface SealRow {
  number: number
  first_position: number
  last_position: number
  era: number
  xact: string
  id: string
  head: string
}

const sealColumns = 'number, first_position, last_position, last_era as era, last_xact as xact, last_id as id, head'

const sealStatement: Statement = {
  name: 'audit_seal',
  text: `select ${sealColumns} from audit_seals where organization_id = $1 and number = $2`,
}

const oldestStatement: Statement = {
  name: 'audit_oldest_seal',
  text: `
    select s.${sealColumns}, exists (select from events e where e.organization_id = $1
      and (e.era, e.xact, e.id) <= (s.last_era, s.last_xact, s.last_id)) as has_events
    from audit_seals s where s.organization_id = $1 order by s.number limit 1`,
}

/** Behind seal `after`, or, without, where the events that are still there begin. Null: there is no such seal. */
export async function beginning(
  db: Queryable,
  organizationId: string,
  after: number | null,
): Promise<Beginning | null> {
  const first: Beginning = { firstSeal: 1, firstPosition: 1, previousHead: null, at: nowhere }
  const behind = (row: SealRow): Beginning => ({
    firstSeal: row.number + 1,
    firstPosition: row.last_position + 1,
    previousHead: row.head,
    at: { era: row.era, xact: row.xact, id: row.id },
  })
  if (after !== null && after > 0) {
    const [row] = await db.execute<SealRow>(sealStatement, [organizationId, after])
    return row === undefined ? null : behind(row)
  }
  const [oldest] = await db.execute<SealRow & { has_events: boolean }>(oldestStatement, [organizationId])
  // A seal without its events is the anchor that a purge has left.
  return oldest === undefined || (oldest.number === 1 && oldest.has_events) ? first : behind(oldest)
}

const lastStatement: Statement = {
  name: 'audit_last_seal',
  text: `select ${sealColumns} from audit_seals where organization_id = $1 order by number desc limit 1`,
}

export async function bound(db: Queryable, organizationId: string): Promise<Bound | null> {
  const [row] = await db.execute<SealRow>(lastStatement, [organizationId])
  if (row === undefined) return null
  const at = { era: row.era, xact: row.xact, id: row.id }
  return { seal: row.number, position: row.last_position, at, head: row.head }
}

export interface Page {
  /** Lines, each with its end. */
  readonly text: string
  readonly events: number
  readonly at: ChainKey
}

interface PageRow extends ChainKey {
  text: string | null
  events: number
  gap: boolean
}

// Line ends are put in by chr(10), because a literal one would depend on how this file is checked out.
const pageText = (eventLine: string, sealLine: string): string => `
  with page as (
    select e.era, e.xact, e.id, e.record, e.erasable, $8::bigint + row_number() over (order by e.era, e.xact, e.id) as position
    from events e where e.organization_id = $1 and (e.era, e.xact, e.id) > ($2, $3, $4)
      and (e.era, e.xact, e.id) <= ($5, $6, $7)
    order by e.era, e.xact, e.id limit $9
  ), ended as (
    select era, xact, id from page order by era desc, xact desc, id desc limit 1
  ), sealed as (
    select s.* from ended cross join lateral (
      select * from audit_seals a where a.organization_id = $1 and a.last_position > 0
        and (a.last_era, a.last_xact, a.last_id) > ($2, $3, $4)
        and (a.last_era, a.last_xact, a.last_id) <= (ended.era, ended.xact, ended.id)) s
  ), lines as (
    select era, xact, id, 0 as behind, position, ${eventLine} as line from page
    union all
    select last_era, last_xact, last_id, 1, last_position, ${sealLine} from sealed
  )
  select (select count(*)::int from page) as events, ended.era, ended.xact, ended.id,
    (select string_agg(line, '' order by era, xact, id, behind) from lines) as text,
    exists (select from sealed s left join page p on (p.era, p.xact, p.id) = (s.last_era, s.last_xact, s.last_id)
      where p.position is distinct from s.last_position) as gap
  from ended`

const jsonlStatement: Statement = {
  name: 'audit_export_jsonl',
  text: pageText(
    `'{"position":' || position || ',"record":' || record || coalesce(',"erasable":' || erasable, '') || '}' || chr(10)`,
    `'{"seal":"' || head || '","leaves":"' || translate(encode(leaves, 'base64'), chr(10), '') || '"}' || chr(10)`,
  ),
}

/** Ids, times and our own words: in quotes, for one form of line. */
const word = (value: string): string => `'"' || coalesce(${value}, '') || '"'`

/** What others wrote: a text that a spreadsheet would take for a formula gets an apostrophe in front (CWE-1236). */
const free = (value: string): string =>
  `(select '"' || case when left(given, 1) in ('=', '+', '-', '@', chr(9), chr(13)) then '''' else '' end ||
    replace(given, '"', '""') || '"' from (select coalesce(${value}, '') as given offset 0) one)`

export const csvColumns = [
  ['position', word('position::text')],
  ['id', word(`r->>'id'`)],
  ['occurred_at', word(`r->>'occurred_at'`)],
  ['kind', word(`r->>'kind'`)],
  ['subject_kind', word(`r->'subject'->>'kind'`)],
  ['subject_id', word(`r->'subject'->>'id'`)],
  ['actor_kind', word(`r->'actor'->>'kind'`)],
  ['actor_id', word(`r->'actor'->>'id'`)],
  ['key_id', word(`r->'actor'->>'key_id'`)],
  ['session_id', word(`r->'actor'->>'session_id'`)],
  ['signed_in_with', free(`r->'actor'->>'signed_in_with'`)],
  ['network', free(`x->>'network'`)],
  ['http_request_id', free(`r->>'http_request_id'`)],
  ['digest', word(`r->>'digest'`)],
  ['before', free(`r->>'before'`)],
  ['after', free(`r->>'after'`)],
  ['erasable', free(`(x - array['salt', 'network'])::text`)],
] as const

// OFFSET 0 keeps PostgreSQL from writing the parse, or the text, into each place where it is used.
const csvStatement: Statement = {
  name: 'audit_export_csv',
  text: pageText(
    `(select ${csvColumns.map(([, cell]) => cell).join(` || ',' || `)}
      from (select record::jsonb as r, erasable::jsonb as x offset 0) parsed) || chr(13) || chr(10)`,
    `''`,
  ),
}

/** Enough that a page costs little beside its rows, and few enough that the largest events make no large text. */
const pageEvents = 500

/** The next page behind `from`, up to `until`; null at the end. Throws when events are missing in between. */
export async function page(
  db: Queryable,
  format: 'jsonl' | 'csv',
  organizationId: string,
  from: { readonly at: ChainKey; readonly position: number },
  until: ChainKey,
): Promise<Page | null> {
  const [row] = await db.execute<PageRow>(format === 'csv' ? csvStatement : jsonlStatement, [
    organizationId,
    from.at.era,
    from.at.xact,
    from.at.id,
    until.era,
    until.xact,
    until.id,
    from.position,
    pageEvents,
  ])
  if (row === undefined) return null
  if (row.gap) throw new Error('events were purged while they were being exported')
  return { text: row.text ?? '', events: row.events, at: { era: row.era, xact: row.xact, id: row.id } }
}

const unsealedStatement: Statement = {
  name: 'audit_export_unsealed',
  text: `
    select count(*)::int as events, count(*) filter (where kind = 'audit.erased')::int as erasures from (
      select kind from events where organization_id = $1 and (era, xact, id) > ($2, $3, $4)
      order by era, xact, id limit 100000) rest`,
}

/** What is behind the last seal; counted up to 100 000. */
export async function unsealed(
  db: Queryable,
  organizationId: string,
  at: ChainKey,
): Promise<{ readonly events: number; readonly erasures: number }> {
  const [row] = await db.execute<{ events: number; erasures: number }>(unsealedStatement, [
    organizationId,
    at.era,
    at.xact,
    at.id,
  ])
  return row ?? { events: 0, erasures: 0 }
}
