-- The outbox: born in the commit of the change it reports, worked off by leases.
create table callback_outbox (
  organization_id uuid not null,
  -- The `webhook-id` header: the same over all attempts.
  id uuid not null,
  consultation_id uuid not null,
  event text not null check (event in ('request.responded', 'request.timeout', 'request.cancelled')),
  url text not null,
  -- scheme://host:port: concurrency limit and breaker are per target.
  target text not null,
  secret bytea,
  body text not null,
  retry_seconds integer[] not null,
  status text not null default 'pending' check (status in ('pending', 'sent', 'failed')),
  attempts integer not null default 0,
  -- Attempts since it was born or last asked to be redelivered: what the retry schedule counts.
  tries integer not null default 0,
  -- When it is next to be taken by a worker: the time of the next attempt, or, while it is under way, the lease's end.
  due_at timestamptz(3),
  lease_token uuid,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  primary key (organization_id, id),
  foreign key (organization_id, consultation_id) references consultation_requests,
  check ((status = 'pending') = (due_at is not null))
);
create index callback_outbox_due on callback_outbox (organization_id, target, due_at) where due_at is not null;

-- One row per attempt, whatever came of it.
create table webhook_deliveries (
  organization_id uuid not null,
  id uuid not null,
  callback_id uuid not null,
  consultation_id uuid not null,
  attempt integer not null check (attempt >= 1),
  url text not null,
  succeeded boolean not null,
  status_code integer,
  duration_ms integer not null,
  reply text not null default '' check (char_length(reply) <= 1000),
  error_code text,
  error text,
  started_at timestamptz(3) not null,
  created_at timestamptz(3) not null,
  primary key (organization_id, id),
  foreign key (organization_id, callback_id) references callback_outbox
);
create index webhook_deliveries_by_consultation on webhook_deliveries (organization_id, consultation_id, id);

do $$
declare
  name text;
begin
  foreach name in array array['callback_outbox', 'webhook_deliveries'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
  end loop;
end $$;
create policy tenant on webhook_deliveries using (organization_id::text = current_setting('hitl.organization', true))
  with check (organization_id::text = current_setting('hitl.organization', true));

-- The worker's claim walks the outbox in the order of its index, so that a dead receiver's backlog is one step. PostgreSQL joins
-- the policies of a command by OR, and for "this organization's, or a worker's" it plans a bitmap of both sides: each claim
-- fetched and sorted the whole backlog (measured: 250 ms instead of 4 with 500 000 callbacks due to one receiver). A CASE says
-- the same and is only a filter.
create policy tenant_insert on callback_outbox for insert with check (organization_id = hitl_organization());
create policy tenant_delete on callback_outbox for delete using (organization_id = hitl_organization());
create policy tenant_or_worker_select on callback_outbox for select
  using (case when hitl_worker() and due_at is not null then true else organization_id = hitl_organization() end);
create policy tenant_or_worker_update on callback_outbox for update
  using (case when hitl_worker() and due_at is not null then true else organization_id = hitl_organization() end)
  with check (case when hitl_worker() and due_at is not null then true else organization_id = hitl_organization() end);
