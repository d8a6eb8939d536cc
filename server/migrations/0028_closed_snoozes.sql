-- The act that closes a request takes it out of what everybody put aside, so that it no longer counts against the most that they may.
-- The condition is true for every row, and repeated by that act alone: for what one person put aside, a plan without statistics
-- would take this index for as good as the primary key, and read what everybody did (see 0006_consultations.sql).
create index request_snoozes_by_request on request_snoozes (organization_id, request_id)
  where request_id <> '00000000-0000-0000-0000-000000000000';

-- The sweep skips rows that others hold, and for that it locks its own.
create policy sweeping_lock on request_snoozes for update using (hitl_worker());
