-- For metrics: what waits in each of the next organizations, found by their events, which every organization has. One after the
-- other, each under its own row-level security beside the owner's view of events (0008_audit.sql). Every count ends at 1,000, so that
-- a page costs the same however much waits; only the number of open requests is exact, from the totals.
create function hitl_backlog(after uuid, at_most integer, now timestamptz) returns table (
  organization_id uuid, open bigint, open_high bigint, open_critical bigint, oldest timestamptz, oldest_high timestamptz,
  oldest_critical timestamptz, due bigint, oldest_due timestamptz, unsealed bigint, oldest_unsealed timestamptz
) language plpgsql volatile security definer set search_path = public, pg_temp set enable_bitmapscan = off as $$
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
    select coalesce(sum(t.total), 0) into open from consultation_totals t where t.organization_id = tenant and t.state = 'pending';
    select count(*), min(r.created_at) into open_high, oldest_high from (
      select c.created_at from consultation_requests c
      where c.organization_id = tenant and c.state = 'pending' and c.risk in ('high', 'critical') and c.risk = 'high'
      order by c.id limit 1000) r;
    select count(*), min(r.created_at) into open_critical, oldest_critical from (
      select c.created_at from consultation_requests c
      where c.organization_id = tenant and c.state = 'pending' and c.risk in ('high', 'critical') and c.risk = 'critical'
      order by c.id limit 1000) r;
    select min(r.created_at) filter (where r.risk not in ('high', 'critical')) into oldest from (
      select c.created_at, c.risk from consultation_requests c
      where c.organization_id = tenant and c.state = 'pending' and (c.state <> 'responded' or c.callback_id is null)
      order by c.id limit least(1000, open_high + open_critical + 1)) r;
    select count(*) filter (where d.due_at <= now), min(d.due_at) filter (where d.due_at <= now) into due, oldest_due from (
      select w.due_at from deliveries w where w.organization_id = tenant and w.due_at is not null
      order by w.target, w.due_at limit 1000) d;
    select count(*), min(u.occurred_at) into unsealed, oldest_unsealed from (
      select e.occurred_at from events e cross join (
        select past.era, past.xact, past.id from (
          (select s.last_era as era, s.last_xact as xact, s.last_id as id from audit_seals s
           where s.organization_id = tenant order by s.number desc limit 1)
          union all
          select '-32768'::smallint, '0'::xid8, '00000000-0000-0000-0000-000000000000'::uuid) past
        order by past.era desc, past.xact desc limit 1) last
      where e.organization_id = tenant and (e.era, e.xact, e.id) > (last.era, last.xact, last.id)
      order by e.era, e.xact, e.id limit 1000) u;
    return next;
  end loop;
end $$;
revoke execute on function hitl_backlog(uuid, integer, timestamptz) from public;
