-- Every change, written in the commit that makes it. Nothing here is ever updated or deleted.
create table events (
  organization_id uuid not null,
  id uuid not null,
  kind text not null,
  -- What changed: the table's noun and the row's id.
  subject_kind text not null,
  subject_id uuid not null,
  -- Who did it: a person, an agent (its key), the service itself.
  actor_kind text not null check (actor_kind in ('person', 'agent', 'system')),
  actor_id uuid,
  -- The HTTP request that caused it, as in the log; null for timers and workers.
  http_request_id text,
  before jsonb,
  after jsonb,
  occurred_at timestamptz(3) not null,
  primary key (organization_id, id)
);
create index events_by_subject on events (organization_id, subject_id, id);

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'events are append-only' using errcode = 'insufficient_privilege';
end $$;
create trigger append_only before update or delete or truncate on events
  for each statement execute function refuse_change();
