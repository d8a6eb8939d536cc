-- Erasing takes the lock that sealing and purging take, and that the service takes to set a legal hold: a hold that was answered
-- has stopped whatever comes after it. A row lock would not do, because there is no policy row until the first change.
create or replace function hitl_audit_erase(keys json) returns setof uuid language plpgsql volatile security definer
  set search_path = public, pg_temp as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('hitl audit ' || hitl_organization(), 0));
  perform set_config('hitl.audit', 'erase', true);
  if exists (select from audit_policies where organization_id = hitl_organization() and legal_hold) then
    raise exception 'events under legal hold are not erased' using errcode = 'insufficient_privilege';
  end if;
  return query update events e set erasable = null
    from json_to_recordset(keys) as wanted(era smallint, xact xid8, id uuid)
    where e.organization_id = hitl_organization() and (e.era, e.xact, e.id) = (wanted.era, wanted.xact, wanted.id)
      and e.erasable is not null
    returning e.id;
  perform set_config('hitl.audit', '', true);
end $$;
