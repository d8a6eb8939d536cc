-- Whoever waits for a request names the revision that they know, and hears of a later one, too:
-- `[{"organization_id": ..., "ids": [...], "revisions": [...]}]`. Without revisions it returns what it did before, for processes of
-- the version before, which also is why its name stays.
create or replace function hitl_closed_requests(awaited json) returns setof uuid
language plpgsql volatile set search_path = public, pg_temp as $$
declare
  one record;
begin
  for one in select organization_id, ids, revisions
      from json_to_recordset(awaited) as a(organization_id uuid, ids uuid[], revisions integer[]) loop
    perform set_config('hitl.organization', one.organization_id::text, true);
    return query select c.id from unnest(one.ids, one.revisions) as wanted(id, revision)
      cross join lateral (select r.id, r.state, r.revision from consultation_requests r
        where r.organization_id = one.organization_id and r.id = wanted.id offset 0) c
      where c.state <> 'pending' or c.revision <> wanted.revision;
  end loop;
end $$;
