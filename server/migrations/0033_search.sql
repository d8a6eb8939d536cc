-- Full-text search in requests. Everything here is made from the requests again, by the service's workers, whenever it is missing.
-- So the tables are unlogged: filling them writes no WAL, a backup leaves them out, and after a crash of PostgreSQL, or on a
-- replica that was promoted, they are empty and fill by themselves.

-- How far the filling of an organization has come.
create unlogged table request_search_progress (
  organization_id uuid primary key,
  -- While its requests are gone through for the first time, the last one that was; null: that is done.
  filled_to uuid,
  -- From then on it follows their changes, in the order of their times and, within one, of ids: up to this one all are in.
  followed_to timestamptz(3) not null,
  followed_id uuid not null,
  -- Of the newest part (below).
  documents integer not null
);

-- An organization's requests in parts of several thousand, in the order of their ids: a search goes from the newest part to the
-- oldest and ends where it has found enough, so a word that a million requests contain costs no more than a rare one.
create unlogged table request_search_parts (
  organization_id uuid not null,
  -- The least id that belongs into it.
  first_id uuid not null,
  number integer not null,
  primary key (organization_id, first_id)
);

create unlogged table request_search_documents (
  organization_id uuid not null,
  request_id uuid not null,
  agent_id uuid not null,
  -- Every word begins with its organization and part: one look-up in the index below never meets the words of another.
  document tsvector not null,
  -- What it was made from was erased in part: it is empty until it is made again.
  due boolean not null default false,
  primary key (organization_id, request_id)
);
create index request_search_due on request_search_documents (organization_id, request_id) where due;
-- Entries wait in a list that every search reads through, so that list is kept short.
create index request_search_words on request_search_documents using gin (document) with (gin_pending_list_limit = 256);

do $$
declare
  name text;
begin
  foreach name in array array['request_search_progress', 'request_search_parts', 'request_search_documents'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format('create policy tenant on %I using (organization_id = hitl_organization()) '
      'with check (organization_id = hitl_organization())', name);
  end loop;
end $$;
-- Under a policy PostgreSQL uses an index only for comparisons that are known to leak nothing of the rows that they meet, and those
-- of tsvector are not. So the owner sees every document, in this one function, which compares the organization itself.
create policy finding on request_search_documents for select to current_user using (true);
create policy finding on request_search_parts for select to current_user using (organization_id = hitl_organization());

-- The newest requests of the scope's organization that match, of one agent or of all, between two ids; with a last row without a
-- score where others may follow, whose id is the `before` to go on with. `query` is a tsquery in which '~' stands before each
-- word, for its organization and part. Conditions that are "is true" are none that another index could be chosen for.
create function hitl_search(prefix text, query text, agent uuid, since uuid, before uuid, at_most integer, ranked boolean)
returns table (request_id uuid, score integer)
language plpgsql stable security definer set search_path = public, pg_temp
set enable_bitmapscan = on set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  tenant uuid := hitl_organization();
  room integer := at_most;
  looked integer := 0;
  part record;
  one record;
  wanted tsquery;
begin
  for part in select p.number, p.first_id from request_search_parts p
      where p.organization_id = tenant and p.first_id < before order by p.first_id desc limit 513 loop
    -- So many parts are some four million requests.
    if looked = 512 then
      request_id := before;
      score := null;
      return next;
      return;
    end if;
    looked := looked + 1;
    wanted := replace(query, '~', prefix || to_hex(part.number) || ':')::tsquery;
    for one in
      select d.request_id as id, case when ranked then round(1000000 * ts_rank('{0.1, 0.3, 0.6, 1}', d.document, wanted))::integer else 0 end as score
      from (select f.request_id, f.document from request_search_documents f
        where (f.organization_id = tenant) is true and f.document @@ wanted and (agent is null or f.agent_id = agent) is true
          and (f.request_id < before and f.request_id >= since) is true
        order by f.request_id desc limit room) d
    loop
      request_id := one.id;
      score := one.score;
      return next;
      room := room - 1;
    end loop;
    if room = 0 then
      score := null;
      return next;
      return;
    end if;
    exit when part.first_id <= since;
    before := part.first_id;
  end loop;
end $$;
revoke execute on function hitl_search(text, text, uuid, uuid, uuid, integer, boolean) from public;

-- The next organizations after `after`, and whether something of them is to be filled in that changed up to `until`. Each is read under its
-- own row-level security; the caller's rights are not extended.
create function hitl_search_behind(after uuid, at_most integer, until timestamptz) returns table (organization_id uuid, behind boolean)
language plpgsql volatile set search_path = public, pg_temp as $$
#variable_conflict use_column
declare
  tenant uuid;
  tenants uuid[] := array(select o.organization_id from organizations o
    where o.organization_id > after and o.deleted_at is null order by o.organization_id limit at_most);
  progress request_search_progress;
begin
  if not hitl_worker() then return; end if;
  foreach tenant in array tenants loop
    perform set_config('hitl.organization', tenant::text, true);
    select * into progress from request_search_progress p where p.organization_id = tenant;
    organization_id := tenant;
    if not found then
      behind := exists (select from consultation_requests c where c.organization_id = tenant);
    else
      behind := progress.filled_to is not null
        or exists (select from consultation_requests c where c.organization_id = tenant
          and c.updated_at >= progress.followed_to and c.updated_at <= until and c.updated_at > '-infinity'
          and (c.updated_at > progress.followed_to or c.id > progress.followed_id))
        or exists (select from request_search_documents d where d.organization_id = tenant and d.due);
    end if;
    return next;
  end loop;
end $$;
revoke execute on function hitl_search_behind(uuid, integer, timestamptz) from public;
