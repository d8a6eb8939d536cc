import type { Queryable, Statement } from '../../platform/database/db.ts'
import { bySubject } from '../store.ts'
import { type InclusionProof, isAsSealed } from './proof.ts'

/** An event with the proof that it was sealed. */
export interface ProvenEvent {
  readonly record: string
  /** With its salt, without which its hash could not be checked. Null: there is none, or it was erased. */
  readonly erasable: string | null
  /** Sealed as it is here; not sealed yet; or different from its seal, because the event or the seal was changed or added later. */
  readonly standing: 'sealed' | 'unsealed' | 'differs'
  /** Null unless the record was sealed. */
  readonly proof: InclusionProof | null
}

/** A subject's events in the order of the chain. */
export interface ProvenEvents {
  readonly events: readonly ProvenEvent[]
  /** The total number; the middle ones are left out when there are more than asked for. */
  readonly total: number
}

interface Row {
  record: string
  erasable: string | null
  fits: boolean
  number: number | null
  head: string
  first_position: number
  last_position: number
  /** Null: the record is not in its place's batch. */
  place: number | null
  path: Buffer
  total: number
}

const ofSubject = `organization_id = $1 and subject_id = $2 and ${bySubject}`

// The leaf is searched in the batch's list of hashes, so no other record of the batch has to be read. A match that spans two
// leaves does not count.
const provenText = (chosen: string, total: string): string => `
    with ends as (${chosen})
    select e.record, e.erasable, hitl_audit_fits(e) as fits, s.number, s.head, s.first_position, s.last_position, place,
      case when place is not null then hitl_audit_path(s.leaves, place) end as path, ${total} as total
    from ends cross join lateral (
      select * from events e where e.organization_id = $1 and (e.era, e.xact, e.id) = (ends.era, ends.xact, ends.id) offset 0) e
    left join lateral (
      select * from audit_seals a where a.organization_id = $1 and a.last_position > 0
        and (a.last_era, a.last_xact, a.last_id) >= (e.era, e.xact, e.id)
      order by a.last_era, a.last_xact, a.last_id limit 1) s on true
    left join lateral (
      select (at - 1) / 32 as place
      from (select position(sha256('\\x00'::bytea || convert_to(e.record, 'UTF8')) in s.leaves) as at offset 0) found
      where at > 0 and (at - 1) % 32 = 0) leaf on true
    order by e.era, e.xact, e.id`

const provenStatement: Statement = {
  name: 'audit_proven_events',
  text: provenText(
    `(select era, xact, id from events where ${ofSubject} order by occurred_at, id limit $3)
      union
      (select era, xact, id from events where ${ofSubject} order by occurred_at desc, id desc limit $3)`,
    `(select count(*) from events where ${ofSubject})::int`,
  ),
}

const erasuresStatement: Statement = {
  name: 'audit_proven_erasures',
  text: provenText(
    `select found.era, found.xact, found.id from unnest($2::uuid[]) as subject(id) cross join lateral (
        select era, xact, id from events where organization_id = $1 and subject_id = subject.id and ${bySubject}
          and kind = 'audit.erased' order by occurred_at desc, id desc limit 100) found`,
    '0',
  ),
}

/** The latest erasures about these subjects. */
export async function provenErasures(
  db: Queryable,
  organizationId: string,
  subjectIds: readonly string[],
): Promise<readonly ProvenEvent[]> {
  return (await db.execute<Row>(erasuresStatement, [organizationId, subjectIds])).map(toProven)
}

/** The events of a subject: all, or the first and the last `eachEnd`. */
export async function provenEvents(
  db: Queryable,
  organizationId: string,
  subjectId: string,
  eachEnd: number,
): Promise<ProvenEvents> {
  const rows = await db.execute<Row>(provenStatement, [organizationId, subjectId, eachEnd])
  return { events: rows.map(toProven), total: rows[0]?.total ?? 0 }
}

function toProven({
  record,
  erasable,
  fits,
  number,
  head,
  first_position,
  last_position,
  place,
  path,
}: Row): ProvenEvent {
  if (number === null) return { record, erasable, standing: fits ? 'unsealed' : 'differs', proof: null }
  if (place === null || !fits) return { record, erasable, standing: 'differs', proof: null }
  const size = last_position - first_position + 1
  const proof = { seal: number, head, position: first_position + place, index: place, size, path }
  return { record, erasable, standing: isAsSealed(record, erasable, proof) ? 'sealed' : 'differs', proof }
}
