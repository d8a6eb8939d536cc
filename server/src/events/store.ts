import type { Queryable, Statement } from '../platform/db.ts'
import type { Event } from './event.ts'

const insertEvents: Statement = {
  name: 'events_insert',
  text: `
    insert into events (organization_id, id, kind, subject_kind, subject_id, actor_kind, actor_id,
      http_request_id, before, after, occurred_at)
    select * from json_to_recordset($1) as event(organization_id uuid, id uuid, kind text, subject_kind text,
      subject_id uuid, actor_kind text, actor_id uuid, http_request_id text, before jsonb, after jsonb,
      occurred_at timestamptz)`,
}

/** All events of a commit in one statement. */
export async function insert(tx: Queryable, events: readonly Event[]): Promise<void> {
  const rows = events.map((event) => ({
    organization_id: event.organizationId,
    id: event.id,
    kind: event.kind,
    subject_kind: event.subjectKind,
    subject_id: event.subjectId,
    actor_kind: event.actor.kind,
    actor_id: event.actor.id,
    http_request_id: event.httpRequestId,
    before: event.before,
    after: event.after,
    occurred_at: event.occurredAt,
  }))
  await tx.execute(insertEvents, [JSON.stringify(rows)])
}
