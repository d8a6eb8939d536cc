-- Questions and answers in full: what the agent would do, what it asks for and how it is shown; and what a person answers.

alter table consultation_requests
  -- As the agent wrote them: json, not jsonb.
  add column action json,
  add column answer_asked json,
  add column presentation json,
  add column justification text,
  add column risk text not null default 'medium' check (risk in ('low', 'medium', 'high', 'critical')),
  -- What the agent said; the organization may only raise it.
  add column risk_proposed text not null default 'medium' check (risk_proposed in ('low', 'medium', 'high', 'critical')),
  add column priority text not null default 'normal' check (priority in ('low', 'normal', 'high', 'urgent')),
  add column tags text[] not null default '{}',
  add column run_id text check (char_length(run_id) between 1 and 255),
  -- Of what is not null in few requests, so that what is null costs nothing: see context_bytes.
  add column action_bytes integer not null generated always as (coalesce(octet_length(action::text), 0)) stored,
  add column answer_asked_bytes integer not null generated always as (coalesce(octet_length(answer_asked::text), 0)) stored,
  add column presentation_bytes integer not null generated always as (coalesce(octet_length(presentation::text), 0)) stored,
  -- Of the data and the arguments in the answer that closed it.
  add column response_bytes integer not null default 0,
  drop constraint consultation_requests_decision_check,
  add constraint consultation_requests_decision_check
    check (decision in ('approve', 'reject', 'request_changes', 'acknowledge')),
  -- Not every question asks for a decision.
  drop constraint decided_by_an_answer,
  add constraint decided_by_an_answer check (decision is null or responder_id is not null),
  drop constraint certified_when_decided,
  add constraint certified_when_decided check ((responder_id is null) = (certificate is null));

alter table consultation_answers
  alter column decision drop not null,
  drop constraint consultation_answers_decision_check,
  add constraint consultation_answers_decision_check
    check (decision in ('approve', 'reject', 'request_changes', 'acknowledge')),
  add column choices text[],
  -- As the person's program wrote them.
  add column data json,
  add column args json,
  -- RFC 6902: from the arguments that were proposed to these.
  add column args_patch json,
  -- When its texts were erased; what its certificate names by digest cannot be compared any more.
  add column erased_at timestamptz(3);
