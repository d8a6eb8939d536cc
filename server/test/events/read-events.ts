/** Events as tests compare them: the columns, with what is only in the record and in the erasable part. */
export const eventsQuery = `
  select e.organization_id, e.id, e.kind, e.subject_kind, e.subject_id, e.actor_kind, e.actor_id, e.occurred_at,
    r->>'http_request_id' as http_request_id, r->'before' as before, r->'after' as after,
    e.erasable::jsonb - 'salt' as erasable
  from (select *, record::jsonb as r from events) e order by e.era, e.xact, e.id`
