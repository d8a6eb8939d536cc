-- How a callback fares is known in one place, the outbox: a request names the delivery that reports how it was closed, and
-- `callback_sent`, `callback_failed` and everything about the callback are read from there.

alter table deliveries
  -- What it reports, in the words of its channel.
  add column event text not null default '',
  -- Whether it was ever received; failed while it was not and the quick retries are used up. Null before that.
  add column settled text check (settled in ('sent', 'failed')),
  -- Whether the state of its subject shows how it fares: not any more once that has gone on.
  add column shown boolean not null default true,
  -- When the next attempt is due, also during an attempt, when due_at is the end of the lease.
  add column planned_at timestamptz(3),
  add column last_error text,
  -- When it was last received.
  add column sent_at timestamptz(3),
  -- When what is shown of it last changed. At first, when its subject did.
  add column changed_at timestamptz(3);
alter table consultation_requests
  -- The delivery that reports how it was closed. No foreign key: both are written in one commit, and kept.
  add column callback_id uuid;

-- Row-level security is forced on the owner too, who changes the rows of every organization here.
alter table deliveries no force row level security;
alter table consultation_requests no force row level security;
update deliveries o set
  event = 'request.' || case when c.state in ('timeout', 'cancelled') then c.state else 'responded' end,
  shown = c.state <> 'completed',
  settled = case when c.state = 'callback_sent' or c.callback_status = 'sent' or c.callback_sent_at is not null then 'sent'
    when c.state = 'callback_failed' or c.callback_status = 'failed' then 'failed' end,
  planned_at = c.callback_next_attempt_at,
  last_error = c.callback_last_error,
  sent_at = c.callback_sent_at,
  changed_at = c.updated_at
from consultation_requests c
where o.channel = 'callback' and c.organization_id = o.organization_id and c.id = o.subject_id;
-- Each row once: PostgreSQL checks the foreign keys of a row that it changes twice in one transaction.
update consultation_requests c set callback_id = o.id,
  state = case when c.state in ('callback_sent', 'callback_failed') then 'responded' else c.state end
from deliveries o
where o.channel = 'callback' and c.organization_id = o.organization_id and c.id = o.subject_id;
update consultation_requests set state = 'responded' where state in ('callback_sent', 'callback_failed');
alter table deliveries force row level security;
alter table consultation_requests force row level security;

alter table consultation_requests
  drop column callback_status,
  drop column callback_attempts,
  drop column callback_next_attempt_at,
  drop column callback_last_error,
  drop column callback_sent_at,
  drop constraint consultation_requests_state_check,
  add constraint consultation_requests_state_check
    check (state in ('pending', 'responded', 'timeout', 'cancelled', 'completed'));

-- Lists by state find a request that was answered and has a callback by the delivery. The conditions are repeated by those
-- lists alone (see 0006_consultations.sql).
drop index consultations_by_state;
create index consultations_by_state on consultation_requests (organization_id, state, id)
  where state <> 'responded' or callback_id is null;
create index deliveries_by_event on deliveries (organization_id, event, settled, subject_id)
  where event = 'request.responded' and shown;
-- Before the first attempt has ended, the subject's own time is that of the latest change.
create index deliveries_by_change on deliveries (organization_id, changed_at) where attempts > 0 or settled is not null;
