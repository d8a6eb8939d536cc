-- Under which Idempotency-Key the act was done that a step-up was used for: the same proof lets the repetition be answered.
alter table step_ups add column idempotency_key text;
create index step_ups_by_idempotency_key on step_ups (organization_id, user_id, idempotency_key)
  where idempotency_key is not null;

-- Background work over organizations sees what it is about to act upon, and nothing else of a table. The conditions stand in a
-- CASE, which is only a filter: PostgreSQL would take them, joined to the other policies by OR, for a way to find rows
-- (0015_callback_claims.sql).
drop policy worker on organizations;
-- Live ones, and those of which something is still to be deleted.
create policy worker on organizations for select
  using (case when hitl_worker() then cleared_at is null else false end);

drop policy worker on sessions;
drop policy worker_delete on sessions;
create policy worker_select on sessions for select
  using (case when hitl_worker() then expires_at < now() - interval '30 days' else false end);
create policy worker_delete on sessions for delete
  using (case when hitl_worker() then expires_at < now() - interval '30 days' else false end);

do $$
declare
  name text;
  command text;
begin
  foreach name in array array['totp_factors', 'passkey_challenges', 'sign_in_challenges', 'step_ups'] loop
    foreach command in array array['select', 'delete'] loop
      execute format('drop policy worker_%s on %I', command, name);
      -- A confirmed authenticator app has no end; used step-ups stay for the acts that they stand behind.
      execute format('create policy worker_%s on %I for %s using (case when hitl_worker() then expires_at < now()%s else false end)',
        command, name, command, case name when 'step_ups' then ' and used_at is null' else '' end);
    end loop;
  end loop;
end $$;

-- Sealing anew under other keys goes over everybody's authenticator apps, and has a word of its own for it.
create function hitl_resealer() returns boolean language sql stable parallel safe
  as $$ select coalesce(current_setting('hitl.resealer', true), '') = 'on' $$;
drop policy worker_update on totp_factors;
create policy resealer_select on totp_factors for select using (hitl_resealer());
create policy resealer_update on totp_factors for update using (hitl_resealer()) with check (hitl_resealer());

-- Publishing a head sets the time of it, once.
drop policy worker_update on audit_seals;
create policy worker_update on audit_seals for update
  using (case when hitl_worker() then published_at is null else false end) with check (hitl_worker());
