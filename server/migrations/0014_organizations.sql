-- The end of an organization: after its days of grace everything it had goes, but for its sealed audit (without what can be
-- erased) and a row that keeps its id from being used again.
alter table organizations add column deleted_at timestamptz(3);

create policy worker_update on organizations for update using (hitl_worker() and delete_after is not null);

-- Deletes up to `at_most` rows of the scope's organization, from whatever table has some; answers how many. To be called
-- until it answers 0. Tables are found by their column organization_id, so none is forgotten; the order follows from trying:
-- what others still refer to has its turn later.
create function hitl_delete_rows(at_most integer) returns integer language plpgsql volatile as $$
declare
  name text;
  deleted integer;
  total integer := 0;
begin
  for name in
    select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'organization_id'
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and not a.attisdropped
      and c.relname not in ('organizations', 'events', 'schema_migrations') and c.relname not like 'audit%'
      and has_table_privilege(c.oid, 'delete')
    order by c.oid desc
  loop
    begin
      execute format('delete from %I where organization_id = hitl_organization() and ctid in '
        '(select ctid from %I where organization_id = hitl_organization() limit $1)', name, name) using at_most - total;
      get diagnostics deleted = row_count;
      total := total + deleted;
    exception when foreign_key_violation then null;
    end;
    exit when total >= at_most;
  end loop;
  return total;
end $$;
