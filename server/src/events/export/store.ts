import type { Queryable, Statement } from '../../platform/database/db.ts'
import type { ChainKey } from '../seals/seal.ts'
import { bySubject } from '../store.ts'

/**
 * An export is read page by page along the chain, each page in one statement: no snapshot is held open for minutes, and no page
 * comes near the statement time-out. Sealed events never change their order, so the pages fit together. Each seal comes after
 * the rows in its range of keys, and positions restart after it: rows that were deleted, added or changed in the table go into
 * the file as they are, for the verifier to find. PostgreSQL writes the lines: a page arrives here as one text.
 */

/** Where an export begins, and the seal before it. */
export interface Beginning {
  /** The seal that it was asked to begin behind; null: everything was asked for. */
  readonly after: number | null
  /** The last purged seal, where it begins behind that one. */
  readonly purgedUpTo: number | null
  readonly firstSeal: number
  readonly firstPosition: number
  readonly previousHead: string | null
  /** The place before the first event. */
  readonly at: ChainKey
}

/** The last seal at the moment. */
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

/**
 * Whether the oldest seal `s` is the anchor that a purge leaves: no seal is before it, and it has no events. The events of seal
 * 1 may also have been deleted by hand, so for it the purge must have recorded itself.
 */
const isAnchor = `(s.number > 1 or (
  not exists (select from events e where e.organization_id = $1
    and (e.era, e.xact, e.id) <= (s.last_era, s.last_xact, s.last_id))
  and exists (select from events e where e.organization_id = $1 and e.subject_id = $1
    and e.${bySubject} and e.kind = 'audit.purged')))`

const oldestSeal = '(select * from audit_seals where organization_id = $1 order by number limit 1) s'

const anchorStatement: Statement = {
  name: 'audit_anchor',
  text: `select ${sealColumns} from ${oldestSeal} where ${isAnchor}`,
}

/** The place after seal `after`; without it, where the events that were not purged begin. Null: there is no such seal. */
export async function beginning(
  db: Queryable,
  organizationId: string,
  after: number | null,
): Promise<Beginning | null> {
  const behind = (row: SealRow, purgedUpTo: number | null) => ({
    after,
    purgedUpTo,
    firstSeal: row.number + 1,
    firstPosition: row.last_position + 1,
    previousHead: row.head,
  })
  if (after !== null && after > 0) {
    const [row] = await db.execute<SealRow>(sealStatement, [organizationId, after])
    return row === undefined ? null : { ...behind(row, null), at: { era: row.era, xact: row.xact, id: row.id } }
  }
  const [anchor] = await db.execute<SealRow>(anchorStatement, [organizationId])
  const whole = { after, purgedUpTo: null, firstSeal: 1, firstPosition: 1, previousHead: null }
  const first = anchor === undefined ? whole : behind(anchor, anchor.number)
  // Nothing precedes the purged events, unless it was inserted by hand.
  return { ...first, at: nowhere }
}

const purgedStatement: Statement = {
  name: 'audit_export_purged',
  text: `select s.number from ${oldestSeal} where s.number >= $2
    and (s.last_era, s.last_xact, s.last_id) > ($3, $4, $5) and ${isAnchor}`,
}

/** Whether a purge has deleted, since the export began, events it has not read yet: those after `from`, from `firstSeal` on. */
export async function purgedBehind(
  db: Queryable,
  organizationId: string,
  firstSeal: number,
  from: ChainKey,
): Promise<boolean> {
  const values = [organizationId, firstSeal, from.era, from.xact, from.id]
  return (await db.execute(purgedStatement, values)).length > 0
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
  /** The place of its last line. */
  readonly position: number
  readonly at: ChainKey
  /** Whether some seal in it has another number of events than there are rows before it. */
  readonly gap: boolean
  /** Rows whose columns contradict their records. */
  readonly misfits: number
}

interface PageRow extends ChainKey {
  text: string | null
  position: number | null
  gap: boolean
  misfits: number
}

/** What the events of a page come to at most, unless the first is larger. */
const pageBytes = 1_048_576

/** The most leaf hashes in one page: two whole batches, so that seals whose events are gone do not make a large text. */
const pageLeaves = 8_192

// Line ends are written as chr(10), because a literal one would depend on how this file is checked out. Not joined by a key:
// hash and merge joins are off. `number + 0`: seals are found by the range of their events, not through the index on number.
const pageText = (eventLine: string, sealLine: string): string => `
  with found as (
    select e.era, e.xact, e.id, e.record, e.erasable, hitl_audit_fits(e) as fits,
      octet_length(e.record) + coalesce(octet_length(e.erasable), 0) as bytes from events e
    where e.organization_id = $1 and (e.era, e.xact, e.id) > ($2, $3, $4) and (e.era, e.xact, e.id) <= ($5, $6, $7)
    order by e.era, e.xact, e.id limit $9
  ), page as (
    select * from (select *, sum(bytes) over (order by era, xact, id) as sum, count(*) over () as found from found) weighed
    where sum <= ${pageBytes} or sum = bytes
  ), reach as (
    select * from (
      (select era, xact, id from page where found = $9 or found > (select count(*) from page)
        order by era desc, xact desc, id desc limit 1)
      union all select $5::smallint, $6::xid8, $7::uuid) ends
    order by era, xact, id limit 1
  ), near as (
    select s.*, sum(s.last_position - s.first_position + 1) over (order by s.last_era, s.last_xact, s.last_id
      rows between unbounded preceding and 1 preceding) as leaves_before
    from reach cross join lateral (
      select a.* from audit_seals a where a.organization_id = $1 and a.last_position > 0 and a.number + 0 >= $10
        and (a.last_era, a.last_xact, a.last_id) > ($2, $3, $4)
        and (a.last_era, a.last_xact, a.last_id) <= (reach.era, reach.xact, reach.id)
      order by a.last_era, a.last_xact, a.last_id limit $9) s
  ), fitting as (
    select * from near where coalesce(leaves_before, 0) < ${pageLeaves}
  ), ended as (
    select * from (
      select era, xact, id from reach
      union all (select last_era, last_xact, last_id from fitting
        where (select count(*) from near) = $9 or (select count(*) from fitting) < (select count(*) from near)
        order by last_era desc, last_xact desc, last_id desc limit 1)) ends
    order by era, xact, id limit 1
  ), rows as (
    select p.era, p.xact, p.id, 0 as behind, null::bigint as sealed_to, record, erasable, fits,
      null as head, null::bytea as leaves
    from ended, page p where (p.era, p.xact, p.id) <= (ended.era, ended.xact, ended.id)
    union all
    select last_era, last_xact, last_id, 1, last_position, null, null, true, head, leaves
    from ended, fitting f where (f.last_era, f.last_xact, f.last_id) <= (ended.era, ended.xact, ended.id)
  ), parted as (
    select *, count(sealed_to) over before as part, max(sealed_to) over before as sealed_before from rows
    window before as (order by era, xact, id, behind rows between unbounded preceding and 1 preceding)
  ), placed as (
    select *, coalesce(sealed_before, $8::bigint) - behind
      + row_number() over (partition by part order by era, xact, id, behind) as position from parted
  )
  select ended.era, ended.xact, ended.id,
    (select coalesce(sealed_to, position) from placed order by era desc, xact desc, id desc, behind desc limit 1) as position,
    (select string_agg(case behind when 0 then ${eventLine} else ${sealLine} end, '' order by era, xact, id, behind)
      from placed) as text,
    exists (select from placed where behind = 1 and position <> sealed_to) as gap,
    (select count(*) from placed where not fits)::int as misfits
  from ended`

const jsonlStatement: Statement = {
  name: 'audit_export_jsonl',
  text: pageText(
    `'{"position":' || position || ',"record":' || record || coalesce(',"erasable":' || erasable, '') || '}' || chr(10)`,
    `'{"seal":"' || head || '","leaves":"' || translate(encode(leaves, 'base64'), chr(10), '') || '"}' || chr(10)`,
  ),
}

/** For ids, times and our own words; quoted, so that all lines have one form. */
const word = (value: string): string => `'"' || coalesce(${value}, '') || '"'`

/** For text from others: an apostrophe goes before anything that a spreadsheet would take for a formula (CWE-1236). */
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

/** Enough that a page costs little more than its rows. */
const pageEvents = 500

/** The next page after `from`, at most up to `until`; ends at `until` when nothing is left in between. */
export async function page(
  db: Queryable,
  format: 'jsonl' | 'csv',
  organizationId: string,
  firstSeal: number,
  from: { readonly at: ChainKey; readonly position: number },
  until: ChainKey,
): Promise<Page> {
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
    firstSeal,
  ])
  if (row === undefined) throw new Error('a page of an export always has an end')
  const { text, position, era, xact, id, gap, misfits } = row
  return { text: text ?? '', position: position ?? from.position, at: { era, xact, id }, gap, misfits }
}

const unsealedStatement: Statement = {
  name: 'audit_export_unsealed',
  text: `
    select count(*)::int as events, count(*) filter (where kind = 'audit.erased')::int as erasures,
      count(*) filter (where kind = 'audit.purged')::int as purges,
      count(*) filter (where era > current_era or (era = current_era and xact >= next_xact))::int as misplaced
    from (select * from events where organization_id = $1 and (era, xact, id) > ($2, $3, $4)
      order by era, xact, id limit 100000) rest,
      (select hitl_audit_era() as current_era, pg_snapshot_xmax(pg_current_snapshot()) as next_xact) now`,
}

/** The events after the last seal; counted up to 100 000. */
export interface Unsealed {
  readonly events: number
  readonly erasures: number
  readonly purges: number
  /** Of a transaction that has not been yet: the service has not written them, and they are never sealed. */
  readonly misplaced: number
}

export async function unsealed(db: Queryable, organizationId: string, at: ChainKey): Promise<Unsealed> {
  const [row] = await db.execute<Unsealed>(unsealedStatement, [organizationId, at.era, at.xact, at.id])
  if (row === undefined) throw new Error('a count has one row')
  return row
}
