-- The act that closes a request takes it out of what people put aside, so that it no longer counts against the most that they may.
delete from request_snoozes s using consultation_requests c
  where (c.organization_id, c.id) = (s.organization_id, s.request_id) and c.state <> 'pending';
create index request_snoozes_by_request on request_snoozes (organization_id, request_id);

-- The sweep skips rows that others hold, and for that it locks its own.
create policy sweeping_lock on request_snoozes for update using (hitl_worker());
