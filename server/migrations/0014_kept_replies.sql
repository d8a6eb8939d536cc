-- Replies to calls with an Idempotency-Key, for their repetitions (identity/replies). What creates something, and the acts on
-- requests, keep the key with what they made instead.
create table kept_replies (
  organization_id uuid not null,
  -- Another one whenever the call is taken up again.
  id uuid not null,
  -- The person or the agent.
  caller_id uuid not null,
  path text not null,
  key text not null check (char_length(key) between 1 and 255),
  -- Keyed hash of the body.
  body_hash bytea not null check (octet_length(body_hash) = 32),
  -- Encrypted: it may hold what is shown once. Null while the call is under way.
  reply bytea,
  -- A call that is under way longer than this has died with its process.
  claimed_until timestamptz(3) not null,
  expires_at timestamptz(3) not null,
  primary key (organization_id, id),
  unique (organization_id, caller_id, path, key)
);
create index kept_replies_by_caller on kept_replies (organization_id, caller_id, expires_at, id);
create index kept_replies_over on kept_replies (expires_at);

alter table kept_replies enable row level security;
alter table kept_replies force row level security;
create policy tenant on kept_replies using (organization_id = hitl_organization())
  with check (organization_id = hitl_organization());
create policy worker_select on kept_replies for select
  using (case when hitl_worker() then expires_at < now() else false end);
create policy worker_delete on kept_replies for delete
  using (case when hitl_worker() then expires_at < now() else false end);
