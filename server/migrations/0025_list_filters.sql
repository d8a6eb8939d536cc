-- Lists by priority, risk and run. Only of what is rare, so that a request which says nothing of these costs nothing more. The
-- conditions are repeated by those lists alone (see 0006_consultations.sql), and the rows that are pending have indexes of their
-- own, which a closed request leaves without another write: an inbox must not look through all that was ever urgent.
create index consultations_by_priority on consultation_requests (organization_id, priority, id) where priority <> 'normal';
create index consultations_pending_by_priority on consultation_requests (organization_id, priority, id)
  where state = 'pending' and priority <> 'normal';
create index consultations_by_risk on consultation_requests (organization_id, risk, id) where risk in ('high', 'critical');
create index consultations_pending_by_risk on consultation_requests (organization_id, risk, id)
  where state = 'pending' and risk in ('high', 'critical');
create index consultations_by_run on consultation_requests (organization_id, run_id, id) where run_id is not null;
