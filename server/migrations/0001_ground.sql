-- What all tables stand on: the touch of updated_at, and PostgreSQL's own word on whose rows a transaction may touch.
-- The service says in front of each transaction whose rows it is about (platform/database/scope.ts), with
-- set_config(..., true); row-level security, forced on the owner too, holds the statements to it. Nothing said means nothing
-- seen.

create function touch_updated_at() returns trigger language plpgsql as $$
begin
  if new.updated_at = old.updated_at then
    new.updated_at := greatest(clock_timestamp(), old.updated_at + interval '1 millisecond');
  end if;
  return new;
end $$;

create function hitl_organization() returns uuid language sql stable parallel safe
  as $$ select nullif(current_setting('hitl.organization', true), '')::uuid $$;
create function hitl_account() returns uuid language sql stable parallel safe
  as $$ select nullif(current_setting('hitl.account', true), '')::uuid $$;
-- The id, address or token hash of the one row that a caller names before anybody knows the organization.
create function hitl_lookup() returns text language sql stable parallel safe
  as $$ select nullif(current_setting('hitl.lookup', true), '') $$;
-- Null where it is no id: casting the text itself would fail.
create function hitl_lookup_id() returns uuid language sql stable parallel safe
  as $$ select case when hitl_lookup() ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then hitl_lookup()::uuid end $$;
create function hitl_worker() returns boolean language sql stable parallel safe
  as $$ select coalesce(current_setting('hitl.worker', true), '') = 'on' $$;
-- Sealing anew under other keys goes over everybody's authenticator apps, and has a scope of its own for it.
create function hitl_resealer() returns boolean language sql stable parallel safe
  as $$ select coalesce(current_setting('hitl.resealer', true), '') = 'on' $$;
