-- What a request asked before its agent revised it: one row for each earlier revision, as it stood then. What is asked now is in
-- the request's row, and the answers to every revision are in the ledger.

create table consultation_revisions (
  organization_id uuid not null,
  -- No foreign key: a revision is only written under the lock of its request, whose row is never deleted before it.
  request_id uuid not null,
  revision integer not null check (revision >= 1),
  -- The key that asked, and when.
  api_key_id uuid not null,
  asked_at timestamptz(3) not null,
  title text not null,
  description text,
  -- As the agent wrote them: json, not jsonb.
  context json not null,
  metadata json,
  action json,
  answer_asked json,
  justification text,
  presentation json,
  -- The files that its digest names, as it names them.
  attachments json,
  digest bytea not null check (octet_length(digest) = 32),
  risk text not null check (risk in ('low', 'medium', 'high', 'critical')),
  risk_proposed text not null check (risk_proposed in ('low', 'medium', 'high', 'critical')),
  priority text not null check (priority in ('low', 'normal', 'high', 'urgent')),
  tags text[] not null,
  run_id text,
  hold_seconds smallint not null,
  timeout_at timestamptz(3),
  callback_url text,
  callback_events text[],
  traceparent text,
  -- Whose answer in the ledger it had when it was revised: the one that closed it, or one that was held back and became void.
  responder_id uuid,
  decision text check (decision in ('approve', 'reject', 'request_changes', 'acknowledge')),
  decided_by text check (decided_by in ('human', 'policy', 'timeout', 'standing_approval', 'break_glass')),
  certificate text,
  revised_at timestamptz(3) not null,
  erased_at timestamptz(3),
  -- What its texts and the values of its answer come to: pages are bounded by this.
  bytes integer not null generated always as (octet_length(context::text) + coalesce(octet_length(metadata::text), 0)
    + coalesce(octet_length(action::text), 0) + coalesce(octet_length(answer_asked::text), 0)
    + coalesce(octet_length(presentation::text), 0) + coalesce(octet_length(attachments::text), 0)
    + coalesce(octet_length(description), 0) + coalesce(octet_length(justification), 0) + response_bytes) stored,
  response_bytes integer not null,
  primary key (organization_id, request_id, revision),
  foreign key (organization_id, responder_id) references users
);

alter table consultation_revisions enable row level security;
alter table consultation_revisions force row level security;
create policy tenant on consultation_revisions using (organization_id = hitl_organization())
  with check (organization_id = hitl_organization());

-- Of what is asked now, where it is not the first revision.
alter table consultation_requests
  add column revised_at timestamptz(3),
  add column revising_key_id uuid,
  add constraint revised_by_a_key check ((revised_at is null) = (revising_key_id is null));
