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
