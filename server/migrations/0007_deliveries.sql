-- The outbox. A delivery is inserted in the transaction of the change that it reports; workers take it by a lease.
create table deliveries (
  organization_id uuid not null,
  -- The same for all attempts.
  id uuid not null,
  -- How it is sent, and so what its address and body mean: `callback`.
  channel text not null,
  -- The row that it is about, which its channel locks to record there how the delivery went.
  subject_id uuid not null,
  address text not null,
  -- scheme://host:port of the address: the concurrency limit and the circuit breaker count per target.
  target text not null,
  secret bytea,
  -- Empty once nothing more is due: a redelivery builds it again, and sends it only if its digest is the one kept here.
  body text not null,
  -- What its channel recognises it by, as it was put in here: a MAC over the columns above.
  proof bytea,
  body_bytes integer not null,
  body_sha256 bytea,
  retry_seconds integer[] not null,
  -- Longer waits after those, while the subject says that it failed.
  recovery_seconds integer[] not null,
  status text not null default 'pending' check (status in ('pending', 'sent', 'failed')),
  attempts integer not null default 0,
  -- The attempts that the retry schedule counts: those since it was created or last sent again on request.
  round_attempts integer not null default 0,
  -- When a worker may take it next: the time of the next attempt or, during an attempt, the end of the lease.
  due_at timestamptz(3),
  lease_token uuid,
  -- Since when its subject says that it failed; null while it does not.
  failed_at timestamptz(3),
  -- Until when the receiver asked to be left alone.
  not_before timestamptz(3),
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  primary key (organization_id, id),
  check ((status = 'pending') = (due_at is not null))
);
create index deliveries_due on deliveries (organization_id, target, due_at) where due_at is not null;
-- For those that failed, which are few: a delivery that succeeds at once has no entry.
create index deliveries_failed on deliveries (organization_id, id) where failed_at is not null;
create index deliveries_failed_by_subject on deliveries (organization_id, subject_id) where failed_at is not null;

-- One row per attempt, successful or not.
create table delivery_attempts (
  organization_id uuid not null,
  id uuid not null,
  delivery_id uuid not null,
  channel text not null,
  subject_id uuid not null,
  attempt integer not null check (attempt >= 1),
  address text not null,
  succeeded boolean not null,
  status_code integer,
  duration_ms integer not null,
  reply text not null default '' check (char_length(reply) <= 1000),
  error_code text,
  error text,
  started_at timestamptz(3) not null,
  created_at timestamptz(3) not null,
  primary key (organization_id, id),
  foreign key (organization_id, delivery_id) references deliveries
);
create index delivery_attempts_by_subject on delivery_attempts (organization_id, channel, subject_id, id);

do $$
declare
  name text;
begin
  foreach name in array array['deliveries', 'delivery_attempts'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
  end loop;
end $$;
create policy tenant on delivery_attempts using (organization_id::text = current_setting('hitl.organization', true))
  with check (organization_id::text = current_setting('hitl.organization', true));

-- Workers claim deliveries in the order of the index, which lets them skip the backlog of a dead receiver in one step.
-- PostgreSQL combines the policies of a command with OR, and for "this organization's, or a worker's" it plans a bitmap over
-- both sides, so each claim read and sorted the whole backlog (250 ms instead of 4 with 500 000 deliveries due to one
-- receiver). A CASE means the same and only filters.
create policy tenant_insert on deliveries for insert with check (organization_id = hitl_organization());
create policy tenant_delete on deliveries for delete using (organization_id = hitl_organization());
create policy tenant_or_worker_select on deliveries for select
  using (case when hitl_worker() and due_at is not null then true else organization_id = hitl_organization() end);
create policy tenant_or_worker_update on deliveries for update
  using (case when hitl_worker() and due_at is not null then true else organization_id = hitl_organization() end)
  with check (case when hitl_worker() and due_at is not null then true else organization_id = hitl_organization() end);
