import type { Queryable, Statement } from '../../platform/db.ts'

/** An event with what proves that it was sealed; without a seal there is no proof yet. */
export interface ProvenEvent {
  readonly record: string
  /** With its salt: else its hash could not be checked. Null: there is none, or it was erased. */
  readonly erasable: string | null
  readonly proof: InclusionProof | null
}

export interface InclusionProof {
  readonly seal: number
  readonly head: string
  /** In the organization's chain, from 1. */
  readonly position: number
  /** The leaf's place in the batch's tree, from 0, and the tree's size. */
  readonly index: number
  readonly size: number
  /** The neighbours from the leaf up to the root: 32 bytes each. */
  readonly path: Buffer
}

interface Row {
  record: string
  erasable: string | null
  number: number | null
  head: string
  first_position: number
  last_position: number
  place: number
  path: Buffer
}

// The leaf is looked for in the batch's own list: no other record of the batch has to be read.
const provenStatement: Statement = {
  name: 'audit_proven_events',
  text: `
    select e.record, e.erasable, s.number, s.head, s.first_position, s.last_position, place,
      hitl_audit_path(s.leaves, place) as path
    from (select * from events where organization_id = $1 and subject_id = $2
      and subject_id <> '00000000-0000-0000-0000-000000000000' order by occurred_at, id limit $3) e
    left join lateral (
      select * from audit_seals a where a.organization_id = $1 and a.last_position > 0
        and (a.last_era, a.last_xact, a.last_id) >= (e.era, e.xact, e.id)
      order by a.last_era, a.last_xact, a.last_id limit 1) s on true
    left join lateral (
      select (position(sha256('\\x00'::bytea || convert_to(e.record, 'UTF8')) in s.leaves) - 1) / 32 as place) leaf on true
    order by e.era, e.xact, e.id`,
}

/** The events of a subject, at most `limit`, in the order of the chain. */
export async function provenEvents(
  db: Queryable,
  organizationId: string,
  subjectId: string,
  limit: number,
): Promise<readonly ProvenEvent[]> {
  const rows = await db.execute<Row>(provenStatement, [organizationId, subjectId, limit])
  return rows.map((row) => ({
    record: row.record,
    erasable: row.erasable,
    proof:
      row.number === null
        ? null
        : {
            seal: row.number,
            head: row.head,
            position: row.first_position + row.place,
            index: row.place,
            size: row.last_position - row.first_position + 1,
            path: row.path,
          },
  }))
}
