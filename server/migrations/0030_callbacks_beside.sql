-- Since when it is not sent any more although it was not received: what it reports does not count any more, or was erased. First,
-- because it needs the stronger lock: a process that runs meanwhile could hold a part of the table, and wait for the rest.
alter table deliveries add column withdrawn_at timestamptz(3);

-- Beside the callback that reports how a request was closed there are others now, that it is revised or completed. No state shows
-- how they fare, and a request does not name them: they are found by it while they are due.
create index deliveries_beside on deliveries (organization_id, subject_id) where status = 'pending' and not shown;
