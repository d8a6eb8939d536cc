-- The ledger of answers: one for each person, revision and request. The request's row says what was decided and which answer
-- closed it: that of its responder_id to its revision.

create table consultation_answers (
  organization_id uuid not null,
  -- No foreign key: an answer is only written under the lock of its request, whose row is never deleted before it.
  request_id uuid not null,
  revision integer not null check (revision >= 1),
  responder_id uuid not null,
  decision text not null check (decision in ('approve', 'reject', 'request_changes')),
  comment text,
  answered_at timestamptz(3) not null,
  primary key (organization_id, request_id, revision, responder_id),
  foreign key (organization_id, responder_id) references users
);

-- Row-level security is forced on the owner too, who moves the rows of every organization here.
alter table consultation_requests no force row level security;
insert into consultation_answers
select organization_id, id, revision, responder_id, decision, comment, responded_at
from consultation_requests where decision is not null;

-- With the columns go the conditions that name them.
alter table consultation_requests
  drop column comment,
  drop column responded_at,
  drop constraint consultation_requests_organization_id_responder_id_fkey,
  add constraint decided_by_an_answer check ((decision is null) = (responder_id is null));
alter table consultation_requests force row level security;

alter table consultation_answers enable row level security;
alter table consultation_answers force row level security;
create policy tenant on consultation_answers using (organization_id::text = current_setting('hitl.organization', true))
  with check (organization_id::text = current_setting('hitl.organization', true));
