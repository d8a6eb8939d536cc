-- What the application's role may do: run after the migrations whenever they or this file change. It owns nothing, creates
-- nothing, and is held to row-level security. What is not granted here, a query of the service cannot do, whoever wrote it.

grant usage on schema public to hitl_app;
revoke all on all tables in schema public from hitl_app;
grant select, insert, update, delete on all tables in schema public to hitl_app;
grant usage on all sequences in schema public to hitl_app;

-- The schema is the migrating role's.
revoke insert, update, delete on schema_migrations, schema_access from hitl_app;

-- The audit only grows; what may be erased or purged, functions of the owner do (0008_audit.sql).
revoke update, delete on events, audit_seals from hitl_app;
-- Where an event stands in the chain is for PostgreSQL to say: its era and its transaction are always the columns' defaults.
revoke insert on events from hitl_app;
grant insert (organization_id, id, kind, subject_kind, subject_id, actor_kind, actor_id, occurred_at, record, erasable)
  on events to hitl_app;
grant update (published_at) on audit_seals to hitl_app;
revoke delete on audit_policies from hitl_app;
grant execute on function hitl_audit_era(), hitl_audit_unsealed(uuid, integer), hitl_audit_next_batches(uuid[], integer),
  hitl_audit_erase(json), hitl_audit_purge(integer) to hitl_app;

-- What was signed can always be checked.
revoke delete on signing_keys from hitl_app;
