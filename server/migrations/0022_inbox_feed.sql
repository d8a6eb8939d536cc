-- For open inboxes: in which of these organizations, `[{"organization_id": ..., "after": ...}]`, a request changed after the time
-- given for each. One statement for all of them, each read under its own row-level security: the caller's rights are not
-- extended. Conditions that are true of every row choose the indexes (see 0006_consultations.sql).
create function hitl_changed_organizations(asked json) returns setof uuid
language plpgsql volatile set search_path = public, pg_temp as $$
declare
  one record;
begin
  for one in select organization_id, after from json_to_recordset(asked) as a(organization_id uuid, after timestamptz) loop
    perform set_config('hitl.organization', one.organization_id::text, true);
    if exists (select from consultation_requests
        where organization_id = one.organization_id and updated_at > one.after and updated_at > '-infinity')
      or exists (select from deliveries
        where organization_id = one.organization_id and changed_at > one.after and (attempts > 0 or settled is not null)) then
      return next one.organization_id;
    end if;
  end loop;
end $$;
revoke execute on function hitl_changed_organizations(json) from public;
