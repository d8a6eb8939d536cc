-- The list of what is pending, by when it times out. A request that is closed leaves it without another write. The second half of
-- the condition is true for every row: only a statement that repeats it may use this index (see 0006_consultations.sql).
create index consultations_by_due on consultation_requests (organization_id, (coalesce(timeout_at, 'infinity')), id)
  where state = 'pending' and coalesce(timeout_at, 'infinity') > '-infinity';
