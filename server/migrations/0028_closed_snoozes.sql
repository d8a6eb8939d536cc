-- The act that closes a request takes it out of what everybody put aside, so that it no longer counts against the most that they may.
create index request_snoozes_by_request on request_snoozes (organization_id, request_id);

-- The sweep skips rows that others hold, and for that it locks its own.
create policy sweeping_lock on request_snoozes for update using (hitl_worker());
