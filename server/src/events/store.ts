import type { Queryable, Statement } from '../platform/database/db.ts'
import type { Event } from './event.ts'
import { rowOf } from './record.ts'
import { newSalt } from './salt.ts'

/**
 * Conditions that every event meets: a statement that repeats one may use the partial index with that condition (0008_audit.sql),
 * and no other statement may, whatever the planner estimates.
 */
export const bySubject = `subject_id <> '00000000-0000-0000-0000-000000000000'`
export const byTime = `occurred_at > '-infinity'`

// `record` and `erasable` are objects in the parameter and text here: PostgreSQL keeps a nested value byte for byte, so neither
// side escapes a text of several hundred bytes only to undo it.
const insertEvents: Statement = {
  name: 'events_insert',
  text: `
    insert into events (organization_id, id, kind, subject_kind, subject_id, actor_kind, actor_id, occurred_at, record,
      erasable)
    select * from json_to_recordset($1) as event(organization_id uuid, id uuid, kind text, subject_kind text,
      subject_id uuid, actor_kind text, actor_id uuid, occurred_at timestamptz, record text, erasable text)`,
}

/** All events of a commit in one statement. */
export async function insert(tx: Queryable, events: readonly Event[]): Promise<void> {
  await tx.execute(insertEvents, [`[${events.map((event) => rowOf(event, newSalt())).join(',')}]`])
}
