-- For metrics: how many API keys that are in use expire within a week, in each of the next organizations, found like those of
-- hitl_backlog (0031_backlog.sql) and each under its own row-level security. Of one organization at most 1,000 keys are looked at.
create index api_keys_expiring on api_keys (organization_id, expires_at) where is_active;
create function hitl_expiring_keys(after uuid, at_most integer, now timestamptz) returns table (organization_id uuid, expiring bigint)
language plpgsql volatile security definer set search_path = public, pg_temp as $$
#variable_conflict use_column
declare
  tenant uuid := after;
begin
  if not hitl_worker() then return; end if;
  for turn in 1 .. at_most loop
    if tenant is null then tenant := (select e.organization_id from events e order by e.organization_id limit 1);
    else tenant := (select e.organization_id from events e where e.organization_id > tenant order by e.organization_id limit 1);
    end if;
    exit when tenant is null;
    perform set_config('hitl.organization', tenant::text, true);
    organization_id := tenant;
    select count(*) filter (where k.last_used_at > now - interval '7 days') into expiring from (
      select a.last_used_at from api_keys a
      where a.organization_id = tenant and a.is_active and a.expires_at > now and a.expires_at < now + interval '7 days'
      order by a.expires_at limit 1000) k;
    return next;
  end loop;
end $$;
revoke execute on function hitl_expiring_keys(uuid, integer, timestamptz) from public;
