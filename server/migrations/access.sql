-- What the application's role may do. Run after the migrations whenever they or this file change. The role owns nothing,
-- creates nothing and is subject to row-level security: no query of the service can do anything that is not granted here.

grant usage on schema public to hitl_app;
revoke all on all tables in schema public from hitl_app;
grant select, insert, update, delete on all tables in schema public to hitl_app;
grant usage on all sequences in schema public to hitl_app;

-- Only the migrating role changes the schema.
revoke insert, update, delete on schema_migrations, schema_access from hitl_app;

-- The audit is append-only; the owner's functions erase and purge what may be (0008_audit.sql).
revoke update, delete on events, audit_seals from hitl_app;
-- PostgreSQL alone decides the position of an event in the chain: era and xact always have their defaults.
revoke insert on events from hitl_app;
grant insert (organization_id, id, kind, subject_kind, subject_id, actor_kind, actor_id, occurred_at, record, erasable)
  on events to hitl_app;
grant update (published_at) on audit_seals to hitl_app;
revoke delete on audit_policies from hitl_app;
grant execute on function hitl_audit_era(), hitl_audit_unsealed(uuid, integer), hitl_audit_next_batches(uuid[], integer),
  hitl_audit_erase(json), hitl_audit_purge(integer), hitl_other_processes(), hitl_closed_requests(json), hitl_changed_organizations(json),
  hitl_forget_object(uuid, uuid), hitl_backlog(uuid, integer, timestamptz),
  hitl_expiring_keys(uuid, integer, timestamptz),
  hitl_search(text, text, uuid, uuid, uuid, integer, boolean), hitl_search_behind(uuid, integer, timestamptz) to hitl_app;

-- They outlive their organization (0015_attachments.sql).
revoke update, delete on discarded_objects from hitl_app;

-- Signatures can be verified for ever.
revoke delete on signing_keys from hitl_app;

-- `hitl backup` reads every row, as the owner of the tables and in a transaction that says so (backup/store.ts). These policies
-- are the owner's alone: the application's role gains nothing from them. Here, so that no later table can be forgotten.
do $$
declare
  name text;
begin
  for name in
    select c.relname from pg_class c where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r'
      and c.relrowsecurity and not exists (select from pg_policy p where p.polrelid = c.oid and p.polname = 'backup')
  loop
    execute format('create policy backup on %I for select to current_user '
      'using (case when current_setting(''hitl.backup'', true) = ''on'' then true else false end)', name);
  end loop;
end $$;
