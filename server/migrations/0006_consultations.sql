-- Requests, each with its one answer.

create table consultation_requests (
  organization_id uuid not null,
  -- UUIDv7, so that lists can go through the primary key to show the newest first.
  id uuid not null,
  agent_id uuid not null,
  -- The key that the agent used. No foreign key, because checking it would cost every create a row lock, and keys are never
  -- deleted before the requests.
  api_key_id uuid not null,
  title text not null check (char_length(title) between 1 and 255),
  description text,
  -- json, not jsonb, so that readers get exactly the text that the agent sent, numbers included.
  context json not null,
  metadata json,
  -- Known without reading the contents, which are stored apart when they are large: lists leave those out, and bound their bytes.
  context_bytes integer not null generated always as (octet_length(context::text)) stored,
  metadata_bytes integer not null generated always as (coalesce(octet_length(metadata::text), 0)) stored,
  -- SHA-256 of the question as RFC 8785 JSON.
  digest bytea not null check (octet_length(digest) = 32),
  state text not null
    check (state in ('pending', 'responded', 'callback_sent', 'callback_failed', 'timeout', 'cancelled', 'completed')),
  revision integer not null default 1 check (revision >= 1),
  timeout_at timestamptz(3),
  -- When the service must act by itself; null if it need not. There are no timers but this column.
  next_action_at timestamptz(3),
  decision text check (decision in ('approve', 'reject', 'request_changes')),
  comment text,
  responder_id uuid,
  responded_at timestamptz(3),
  decided_by text check (decided_by in ('human', 'policy', 'timeout', 'standing_approval', 'break_glass')),
  -- The compact JWS over the decision, as it was issued (consultations/certificate.ts).
  certificate text,
  certificate_expires_at timestamptz(3),
  -- When the approval was used, at most once.
  redeemed_at timestamptz(3),
  callback_url text check (char_length(callback_url) <= 2048),
  -- Encrypted: see platform/secrets/sealed-text.ts.
  callback_secret bytea,
  callback_retry_seconds integer[],
  callback_status text not null default 'none'
    check (callback_status in ('none', 'pending', 'delivering', 'sent', 'failed')),
  callback_attempts integer not null default 0,
  callback_next_attempt_at timestamptz(3),
  callback_last_error text,
  callback_sent_at timestamptz(3),
  -- When its texts were erased.
  erased_at timestamptz(3),
  idempotency_key text,
  idempotency_hash bytea,
  -- Time, keyed hash of the body, and Idempotency-Key of the call that closed it, and of the one that used the approval: their
  -- repetitions get the same reply.
  closing_call text,
  redeeming_call text,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  primary key (organization_id, id),
  foreign key (organization_id, agent_id) references agents,
  foreign key (organization_id, responder_id) references users,
  check ((decision is null) = (responded_at is null)),
  constraint certified_when_decided check ((decision is null) = (certificate is null)),
  constraint certificate_expires check ((certificate is null) = (certificate_expires_at is null)),
  constraint redeemed_when_approved check (redeemed_at is null or decision = 'approve'),
  constraint erased_when_closed check (erased_at is null or state <> 'pending'),
  check (next_action_at is null or state = 'pending')
);
-- The conditions below are true for every row, so these indexes are complete, but only a statement that repeats the condition
-- can use them. While a table is new and has no statistics, PostgreSQL considers any index that begins with organization_id as
-- good as the primary key, and a plan cached at that time reads a whole tenant for one row. This way only the lists can use
-- these indexes, and a statement that looks for one row has nothing but the primary key to choose.
create index consultations_by_state on consultation_requests (organization_id, state, id) where state <> '';
create index consultations_by_agent on consultation_requests (organization_id, agent_id, id)
  where agent_id <> '00000000-0000-0000-0000-000000000000';
create index consultations_by_update on consultation_requests (organization_id, updated_at)
  where updated_at > '-infinity';
-- Partial, because most requests have no key, and every update of a row writes its index entries again.
create unique index consultations_by_idempotency_key on consultation_requests
  (organization_id, agent_id, idempotency_key) where idempotency_key is not null;
create index consultations_due on consultation_requests (next_action_at) where next_action_at is not null;

-- The number of requests per agent and state, updated by the statements that change them, so that the exact `total` of a list
-- costs a few rows instead of a count over the table. Concurrent writers use different slots and do not wait for one another.
create table consultation_totals (
  organization_id uuid not null,
  agent_id uuid not null,
  state text not null,
  slot smallint not null,
  total bigint not null,
  primary key (organization_id, agent_id, state, slot)
) with (fillfactor = 50);

do $$
declare
  name text;
begin
  foreach name in array array['consultation_requests', 'consultation_totals'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format('create policy tenant on %I using (organization_id::text = current_setting(''hitl.organization'', true)) '
      'with check (organization_id::text = current_setting(''hitl.organization'', true))', name);
  end loop;
end $$;
-- PostgreSQL combines policies with OR and evaluates the one with the last name first. That should be `tenant`, which decides
-- for nearly every row; hence the name of this one.
create policy background on consultation_requests for select using (hitl_worker() and next_action_at is not null);

-- For differential polls: whether other processes of the service use this database, and when the oldest of their open
-- transactions began. As the owner, because a role sees the activity of its own sessions only. Without pg_monitor the owner does
-- not see that of processes that sign in as another role (nor anybody, with track_activities off), but pg_locks shows whether
-- they are in a transaction. It may then be as old as the service lets one get: 2 s more than a statement (openDb).
create function hitl_other_processes() returns table (present boolean, oldest timestamptz)
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  select count(*) > 0, min(case
    when coalesce(state, 'disabled') <> 'disabled' then xact_start
    when pid in (select pid from pg_locks where locktype = 'virtualxid')
      then clock_timestamp() - greatest(current_setting('statement_timeout')::interval, '10 s') - interval '2 s'
    end)
  from pg_stat_activity
  where datname = current_database() and application_name ~ '^hitl (all|api|worker) '
    and split_part(application_name, ' ', 3) <> split_part(current_setting('application_name'), ' ', 3)
$$;
revoke execute on function hitl_other_processes() from public;
