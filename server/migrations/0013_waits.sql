-- For those who wait for requests: which of these, `[{"organization_id": ..., "ids": [...]}]`, are not pending. One statement for
-- all organizations, each read under its own row-level security: the caller's rights are not extended.
create function hitl_closed_requests(awaited json) returns setof uuid
language plpgsql volatile set search_path = public, pg_temp as $$
declare
  one record;
begin
  for one in select organization_id, ids from json_to_recordset(awaited) as a(organization_id uuid, ids uuid[]) loop
    perform set_config('hitl.organization', one.organization_id::text, true);
    return query select c.id from unnest(one.ids) as wanted(id)
      cross join lateral (select r.id, r.state from consultation_requests r
        where r.organization_id = one.organization_id and r.id = wanted.id offset 0) c
      where c.state <> 'pending';
  end loop;
end $$;
revoke execute on function hitl_closed_requests(json) from public;
