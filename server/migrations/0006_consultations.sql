-- The requests, each with the one answer it gets.

create table consultation_requests (
  organization_id uuid not null,
  -- UUIDv7: the primary key is also the "newest first" order of every list.
  id uuid not null,
  agent_id uuid not null,
  -- Which of the agent's keys asked. No foreign key: checking one more for every create would cost a row lock each, and keys
  -- are never deleted before the requests.
  api_key_id uuid not null,
  title text not null check (char_length(title) between 1 and 255),
  description text,
  -- json, not jsonb: what an agent sent comes back as it was written, numbers and all.
  context json not null,
  metadata json,
  -- SHA-256 over the RFC 8785 JSON of what was asked.
  digest bytea not null check (octet_length(digest) = 32),
  state text not null
    check (state in ('pending', 'responded', 'callback_sent', 'callback_failed', 'timeout', 'cancelled', 'completed')),
  revision integer not null default 1 check (revision >= 1),
  timeout_at timestamptz(3),
  -- When the service must act by itself; null when it need not. Timers are this column and nothing else.
  next_action_at timestamptz(3),
  decision text check (decision in ('approve', 'reject', 'request_changes')),
  comment text,
  responder_id uuid,
  responded_at timestamptz(3),
  decided_by text check (decided_by in ('human', 'policy', 'timeout', 'standing_approval', 'break_glass')),
  -- Compact JWS over the decision (consultations/certificate.ts), as it was issued.
  certificate text,
  certificate_expires_at timestamptz(3),
  -- When the approval was used, which happens at most once.
  redeemed_at timestamptz(3),
  callback_url text check (char_length(callback_url) <= 2048),
  -- Sealed: see platform/secrets/sealed-text.ts.
  callback_secret bytea,
  callback_retry_seconds integer[],
  callback_status text not null default 'none'
    check (callback_status in ('none', 'pending', 'delivering', 'sent', 'failed')),
  callback_attempts integer not null default 0,
  callback_next_attempt_at timestamptz(3),
  callback_last_error text,
  callback_sent_at timestamptz(3),
  idempotency_key text,
  idempotency_hash bytea,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  primary key (organization_id, id),
  foreign key (organization_id, agent_id) references agents,
  foreign key (organization_id, responder_id) references users,
  check ((decision is null) = (responded_at is null)),
  constraint certified_when_decided check ((decision is null) = (certificate is null)),
  constraint certificate_expires check ((certificate is null) = (certificate_expires_at is null)),
  constraint redeemed_when_approved check (redeemed_at is null or decision = 'approve'),
  check (next_action_at is null or state = 'pending')
);
-- The conditions below hold for every row: these indexes are complete, but only a statement that repeats the condition may
-- use them. While a table is new and has no statistics, PostgreSQL finds any index that begins with organization_id as good
-- as the primary key, and a plan cached then reads a whole tenant for one row. So each index is for the lists that ask for it,
-- and what looks for one row finds the primary key only.
create index consultations_by_state on consultation_requests (organization_id, state, id) where state <> '';
create index consultations_by_agent on consultation_requests (organization_id, agent_id, id)
  where agent_id <> '00000000-0000-0000-0000-000000000000';
create index consultations_by_update on consultation_requests (organization_id, updated_at)
  where updated_at > '-infinity';
-- Partial: most requests carry no key, and every index entry is written again with every change of a row.
create unique index consultations_by_idempotency_key on consultation_requests
  (organization_id, agent_id, idempotency_key) where idempotency_key is not null;
create index consultations_due on consultation_requests (next_action_at) where next_action_at is not null;

-- How many requests there are per agent and state, kept by the statements that change them, so that a list's exact
-- `total` costs a few rows instead of a count over the table. Writers spread over slots: no two wait for one row.
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
-- PostgreSQL joins policies with OR and asks the one with the last name first: for nearly every row that shall be the tenant's.
create policy background on consultation_requests for select using (hitl_worker() and next_action_at is not null);
