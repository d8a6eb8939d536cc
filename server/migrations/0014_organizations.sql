-- The end of an organization: after its days of grace everything it had goes, but for its sealed audit (without what can be
-- erased) and a row that keeps its id from being used again. And what makes POST /organizations and /teams repeatable.

alter table organizations no force row level security;

alter table organizations
  -- The point of no return: from here on nobody gets in, and nothing brings it back.
  add column deleted_at timestamptz(3),
  -- Nothing of it is left to delete.
  add column cleared_at timestamptz(3),
  -- The account that made it; null for the installation's own.
  add column created_by uuid,
  add column idempotency_key text,
  add column idempotency_hash bytea,
  -- The installation's own: where the first admin and open registration lead. Never somebody else's, so the oldest will not do.
  add column is_default boolean not null default false,
  add unique (created_by, idempotency_key);
update organizations set is_default = true
  where organization_id = (select organization_id from organizations order by created_at, organization_id limit 1);
create unique index organizations_default on organizations (is_default) where is_default;
drop index organizations_to_delete;
create index organizations_to_delete on organizations (delete_after) where delete_after is not null and cleared_at is null;

alter table organizations force row level security;

alter table teams
  add column created_by uuid,
  add column idempotency_key text,
  add column idempotency_hash bytea,
  add unique (organization_id, created_by, idempotency_key),
  add foreign key (organization_id, created_by) references users;

-- Deletes up to `at_most` rows of the scope's organization, from whatever table has some; answers how many. To be called
-- until it answers 0. Tables are found by their column organization_id, so none is forgotten. Younger tables come first, as
-- they refer to older ones; what others still refer to has its turn later. Members are left to the caller, who looks after
-- their accounts; the audit stays.
create function hitl_delete_rows(at_most integer) returns integer language plpgsql volatile as $$
declare
  name text;
  held text;
  deleted integer;
  total integer := 0;
begin
  for name in
    select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'organization_id'
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and not a.attisdropped
      and c.relname not in ('organizations', 'users', 'events') and c.relname not like 'audit\_%'
      and has_table_privilege(c.oid, 'delete')
    order by c.oid desc
  loop
    begin
      execute format('delete from %I where organization_id = hitl_organization() and ctid = any (array('
        'select ctid from %I where organization_id = hitl_organization() limit $1))', name, name) using at_most - total;
      get diagnostics deleted = row_count;
      total := total + deleted;
    exception when foreign_key_violation then
      held := name;
    end;
    exit when total >= at_most;
  end loop;
  -- Two tables that refer to each other would hold each other for ever, and must not pass for empty.
  if total = 0 and held is not null then
    raise exception 'rows of % are referred to by rows that cannot be deleted', held using errcode = 'foreign_key_violation';
  end if;
  return total;
end $$;
