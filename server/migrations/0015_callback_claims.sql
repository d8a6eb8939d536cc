-- The worker's claim walks the outbox in the order of its index, so that a dead receiver's backlog is one step. PostgreSQL joins
-- the policies of a command by OR, and for "this organization's, or a worker's" it plans a bitmap of both sides: each claim
-- fetched and sorted the whole backlog (measured: 250 ms instead of 4 with 500 000 callbacks due to one receiver). A CASE says
-- the same and is only a filter.
drop policy tenant on callback_outbox;
drop policy worker_select on callback_outbox;
drop policy worker_update on callback_outbox;
create policy tenant_insert on callback_outbox for insert with check (organization_id = hitl_organization());
create policy tenant_delete on callback_outbox for delete using (organization_id = hitl_organization());
create policy tenant_or_worker_select on callback_outbox for select
  using (case when hitl_worker() and due_at is not null then true else organization_id = hitl_organization() end);
create policy tenant_or_worker_update on callback_outbox for update
  using (case when hitl_worker() and due_at is not null then true else organization_id = hitl_organization() end)
  with check (case when hitl_worker() and due_at is not null then true else organization_id = hitl_organization() end);
