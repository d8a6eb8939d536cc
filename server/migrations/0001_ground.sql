-- What every table uses: a trigger for updated_at, and functions that read the scope of a transaction. The service sets the
-- scope with set_config(..., true) at the start of each transaction (platform/database/scope.ts), and row-level security,
-- forced on the owner too, limits every statement to it. Without a scope no row is visible.

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
-- The id, address or token hash of the one row that a caller names before the organization is known.
create function hitl_lookup() returns text language sql stable parallel safe
  as $$ select nullif(current_setting('hitl.lookup', true), '') $$;
-- Null if the text is not an id, where a plain cast would fail.
create function hitl_lookup_id() returns uuid language sql stable parallel safe
  as $$ select case when hitl_lookup() ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then hitl_lookup()::uuid end $$;
create function hitl_worker() returns boolean language sql stable parallel safe
  as $$ select coalesce(current_setting('hitl.worker', true), '') = 'on' $$;
-- Re-encrypting under new keys touches the authenticator apps of every account, so it has a scope of its own.
create function hitl_resealer() returns boolean language sql stable parallel safe
  as $$ select coalesce(current_setting('hitl.resealer', true), '') = 'on' $$;
