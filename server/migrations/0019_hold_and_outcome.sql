-- The time between a decision and its release, and what became of what was decided.

alter table consultation_requests
  add column hold_seconds smallint not null default 0 check (hold_seconds between 0 and 300),
  -- While the decision is held back: then the state is pending, for the agent sees nothing of it.
  add column held_until timestamptz(3),
  add column outcome_status text check (outcome_status in ('executed', 'failed', 'unknown')),
  add column outcome_detail text,
  add column outcome_data json,
  add column outcome_at timestamptz(3),
  add constraint held_while_pending check (held_until is null or (state = 'pending' and responder_id is not null)),
  add constraint completed_with_outcome check ((state = 'completed') = (outcome_at is not null)),
  add constraint outcome_has_status check ((outcome_at is null) = (outcome_status is null));

-- When the answer was taken back, or became void with what it answered.
alter table consultation_answers add column voided_at timestamptz(3);
