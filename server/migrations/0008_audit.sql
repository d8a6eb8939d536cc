-- The tamper-evident audit: each event is a canonical record, and batches of them are sealed into one chain per organization.
-- docs/audit.md has the format, docs/decisions/0009-audit-chain.md the reasons.

create table events (
  organization_id uuid not null,
  id uuid not null,
  kind text not null,
  -- What changed: the kind of thing and its id.
  subject_kind text not null,
  subject_id uuid not null,
  actor_kind text not null check (actor_kind in ('person', 'agent', 'timer', 'system', 'anonymous')),
  actor_id uuid,
  occurred_at timestamptz(3) not null,
  -- The chain is ordered by (era, xact, id). Everything not yet committed has a higher xact than what is settled, so no event
  -- can appear before a sealed one. Restoring a dump restarts the transaction numbers, so it begins a new era
  -- (hitl_audit_begin_era).
  era smallint not null default 0,
  xact xid8 not null default pg_current_xact_id(),
  -- RFC 8785 JSON, hashed and exported byte for byte. The columns above repeat the parts that queries search by.
  record text not null,
  -- RFC 8785 JSON too: free text, addresses, networks, and a salt. The record holds only its hash.
  erasable text,
  primary key (organization_id, era, xact, id)
);

-- The conditions are true for every row, and only the lists repeat them: statements that follow the chain must use the primary
-- key, even while a new table has no statistics (see 0006_consultations.sql).
create index events_by_subject on events (organization_id, subject_id, occurred_at, id)
  where subject_id <> '00000000-0000-0000-0000-000000000000';
create index events_by_time on events (organization_id, occurred_at, id) where occurred_at > '-infinity';

-- One batch of the chain. When events are purged, the last of their seals stays as the anchor of what follows.
create table audit_seals (
  organization_id uuid not null,
  number bigint not null check (number >= 1),
  -- Positions in the organization's chain, which starts at 1.
  first_position bigint not null check (first_position >= 1),
  last_position bigint not null check (last_position >= first_position),
  last_era smallint not null,
  last_xact xid8 not null,
  last_id uuid not null,
  -- The times of the earliest and the latest event of the batch.
  first_occurred_at timestamptz(3) not null,
  last_occurred_at timestamptz(3) not null,
  -- The batch's leaf hashes, 32 bytes each: they show which record was changed, and can prove a single one.
  leaves bytea not null check (octet_length(leaves) = 32 * (last_position - first_position + 1)),
  -- The root of the Merkle tree over the batch's records (RFC 6962).
  root bytea not null check (octet_length(root) = 32),
  -- SHA-256(previous link || record), computed over every record from the first on.
  link bytea not null check (octet_length(link) = 32),
  -- All of the above, signed, as a compact JWS.
  head text not null,
  sealed_at timestamptz(3) not null,
  -- When the head was written outside the database.
  published_at timestamptz(3),
  primary key (organization_id, number)
);
-- Random bytes cannot be compressed.
alter table audit_seals alter column leaves set storage external;
-- As on events: only for statements that repeat the condition, which is true for every row.
create index audit_seals_by_event on audit_seals (organization_id, last_era, last_xact, last_id) where last_position > 0;
create index audit_seals_unpublished on audit_seals (organization_id, number) where published_at is null;

create table audit_policies (
  organization_id uuid primary key references organizations,
  -- Null keeps events for ever. At least six months, which have up to 184 days, so that nobody can shorten it to get rid of
  -- something they did today.
  retention_days integer check (retention_days between 184 and 36500),
  legal_hold boolean not null default false,
  updated_at timestamptz(3) not null
);

alter table events enable row level security;
alter table events force row level security;
create policy tenant on events using (organization_id = hitl_organization())
  with check (organization_id = hitl_organization());
-- For the owner's functions below, which find the events to seal. The application's role cannot use it.
create policy sealer on events for select to current_user using (hitl_worker());

alter table audit_seals enable row level security;
alter table audit_seals force row level security;
create policy tenant on audit_seals using (organization_id = hitl_organization())
  with check (organization_id = hitl_organization());
-- Sealing and publishing work across organizations. A seal holds only hashes.
create policy worker_select on audit_seals for select using (hitl_worker());
create policy worker_insert on audit_seals for insert with check (hitl_worker());
-- Publishing a head sets published_at, once.
create policy worker_update on audit_seals for update
  using (case when hitl_worker() then published_at is null else false end) with check (hitl_worker());

alter table audit_policies enable row level security;
alter table audit_policies force row level security;
create policy tenant on audit_policies using (organization_id = hitl_organization())
  with check (organization_id = hitl_organization());
create policy worker on audit_policies for select using (hitl_worker() and retention_days is not null);

-- Append-only, for the owner too, with two exceptions, each made only by its function below: the erasable part of a row may be
-- emptied, and sealed events may be deleted after their retention period.
create function hitl_audit_guard() returns trigger language plpgsql as $$
begin
  if (tg_op = 'UPDATE' and current_setting('hitl.audit', true) = 'erase')
    or (tg_op = 'DELETE' and current_setting('hitl.audit', true) = 'purge') then
    return null;
  end if;
  raise exception '% are append-only', tg_argv[0] using errcode = 'insufficient_privilege';
end $$;

create function hitl_audit_guard_erasure() returns trigger language plpgsql as $$
begin
  old.erasable := null;
  if new is distinct from old then
    raise exception 'events are append-only: only their erasable part can be emptied' using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;

create function hitl_audit_guard_purge() returns trigger language plpgsql as $$
declare
  tenant record;
begin
  for tenant in
    select distinct on (g.organization_id) g.*, p.legal_hold, p.retention_days,
      max(g.occurred_at) over (partition by g.organization_id) as latest
    from gone g left join audit_policies p using (organization_id)
    order by g.organization_id, g.era desc, g.xact desc, g.id desc
  loop
    if tenant.legal_hold then
      raise exception 'events under legal hold are not deleted' using errcode = 'insufficient_privilege';
    end if;
    if tenant.retention_days is null
      or tenant.latest >= clock_timestamp() - make_interval(days => tenant.retention_days) then
      raise exception 'events within their retention period are not deleted' using errcode = 'insufficient_privilege';
    end if;
    if not exists (select from audit_seals s where s.organization_id = tenant.organization_id
        and s.last_position > 0 and (s.last_era, s.last_xact, s.last_id) >= (tenant.era, tenant.xact, tenant.id)) then
      raise exception 'events that are not sealed are not deleted' using errcode = 'insufficient_privilege';
    end if;
  end loop;
  return null;
end $$;

create trigger append_only before update or delete or truncate on events
  for each statement execute function hitl_audit_guard('events');
create trigger erase_only before update on events for each row execute function hitl_audit_guard_erasure();
create trigger purge_only after delete on events referencing old table as gone
  for each statement execute function hitl_audit_guard_purge();

create function hitl_audit_guard_seal() returns trigger language plpgsql as $$
begin
  old.published_at := new.published_at;
  if new is distinct from old then
    raise exception 'audit_seals are append-only' using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
create trigger append_only before delete or truncate on audit_seals
  for each statement execute function hitl_audit_guard('audit_seals');
create trigger publish_only before update on audit_seals for each row execute function hitl_audit_guard_seal();

-- SHA-256(previous link || record), over the records in their order.
create function hitl_audit_link_step(link bytea, previous bytea, record text) returns bytea
  language plpgsql immutable parallel safe as $$
begin
  return sha256(coalesce(link, previous) || convert_to(record, 'UTF8'));
end $$;
create aggregate hitl_audit_link(previous bytea, record text) (sfunc = hitl_audit_link_step, stype = bytea);

-- Whether the columns of an event say what its record says. The members of a record stand in the order of their names, and
-- behind http_request_id none is free text, so its end is known to the letter. One expression, which PostgreSQL puts into the
-- query that calls it: a call of its own took five times as long.
create function hitl_audit_fits(e events) returns boolean language sql stable parallel safe as $$
  select e.record like '{"actor":{"id":' || coalesce('"' || e.actor_id || '"', 'null') || ',"key\_id":%,"kind":"' || e.actor_kind
    || '","session\_id":%,"id":"' || e.id || '","kind":"' || replace(e.kind, '_', '\_') || '","occurred\_at":"'
    || to_char(e.occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '","organization\_id":"'
    || e.organization_id || '","subject":{"id":"' || e.subject_id || '","kind":"' || replace(e.subject_kind, '_', '\_')
    || '"},"v":1}'
$$;

-- The next level of the Merkle tree (RFC 6962, 2.1). Neighbours are joined, and a last node without a neighbour moves up
-- unchanged, which gives the same tree as splitting at the largest power of two.
create function hitl_audit_level(level bytea) returns bytea language sql immutable parallel safe as $$
  select string_agg(case when 64 * i + 64 <= octet_length(level)
      then sha256('\x01'::bytea || substring(level from 64 * i + 1 for 64))
      else substring(level from 64 * i + 1 for 32) end, ''::bytea order by i)
  from generate_series(0, (octet_length(level) - 32) / 64) as i
$$;

create function hitl_audit_root(leaves bytea) returns bytea language plpgsql immutable parallel safe as $$
declare
  level bytea := leaves;
begin
  while octet_length(level) > 32 loop
    level := hitl_audit_level(level);
  end loop;
  return level;
end $$;

-- The audit path of one leaf, from the bottom up (RFC 6962, 2.1.1): with it and the root anyone can check this leaf alone.
create function hitl_audit_path(leaves bytea, leaf integer) returns bytea language plpgsql immutable parallel safe as $$
declare
  level bytea := leaves;
  place integer := leaf;
  path bytea := '';
begin
  while octet_length(level) > 32 loop
    path := path || substring(level from 32 * (place # 1) + 1 for 32);
    level := hitl_audit_level(level);
    place := place / 2;
  end loop;
  return path;
end $$;

-- The current era, which is the column's default.
create function hitl_audit_era() returns smallint language sql stable security definer set search_path = public, pg_temp as $$
  select substring(pg_get_expr(d.adbin, d.adrelid) from '[0-9]+')::smallint from pg_attrdef d
  join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
  where d.adrelid = 'events'::regclass and a.attname = 'era'
$$;

-- Call this before the service writes. If transaction numbers are behind those of the events, because a dump was restored into
-- another cluster, it begins a new era, so that new events come after all existing ones.
create function hitl_audit_begin_era() returns smallint language plpgsql security definer
  set search_path = public, pg_temp as $$
declare
  newest record;
begin
  perform set_config('hitl.worker', 'on', true);
  with recursive tenants as (
    (select organization_id from events order by organization_id limit 1)
    union all
    select (select e.organization_id from events e where e.organization_id > t.organization_id
      order by e.organization_id limit 1) from tenants t where t.organization_id is not null
  )
  select last.era, last.xact into newest from tenants t cross join lateral (
    select e.era, e.xact from events e where e.organization_id = t.organization_id
    -- Nobody has been in a later era: the default of the column is in the dump too.
    and e.era <= hitl_audit_era()
    order by e.era desc, e.xact desc, e.id desc limit 1) last
  order by last.era desc, last.xact desc limit 1;
  if newest.xact >= pg_snapshot_xmax(pg_current_snapshot()) and newest.era = hitl_audit_era() then
    execute format('alter table events alter column era set default %s', newest.era + 1);
  end if;
  return hitl_audit_era();
end $$;

-- Both functions of the sealer step through keys in their order. In tables without statistics PostgreSQL considers a bitmap
-- just as good, which would read all seals of an organization to find the last one.

-- The organizations after `after` that have settled events beyond their last seal, in the order of their ids. It steps from
-- one organization to the next through the primary key.
create function hitl_audit_unsealed(after uuid, at_most integer) returns setof uuid language plpgsql volatile
  security definer set search_path = public, pg_temp set enable_bitmapscan = off as $$
declare
  current_era smallint := hitl_audit_era();
  first uuid := coalesce(after, '00000000-0000-0000-0000-000000000000');
begin
  if not hitl_worker() then return; end if;
  -- No COALESCE in what is compared with the key: row-level security treats it as leaky, so the whole organization would be
  -- read and filtered. Where there is no seal yet, `last` has only the second row.
  return query with recursive tenants as (
    (select e.organization_id from events e
     where e.organization_id >= first
     order by e.organization_id limit 1)
    union all
    select (select e.organization_id from events e where e.organization_id > t.organization_id
      order by e.organization_id limit 1) from tenants t where t.organization_id is not null
  )
  select t.organization_id from tenants t
  cross join lateral (
    select past.era, past.xact, past.id from (
      (select s.last_era as era, s.last_xact as xact, s.last_id as id from audit_seals s
       where s.organization_id = t.organization_id order by s.number desc limit 1)
      union all
      select '-32768'::smallint, '0'::xid8, '00000000-0000-0000-0000-000000000000'::uuid) past
    order by past.era desc, past.xact desc limit 1) last
  cross join lateral (
    select e.era, e.xact from events e
    where e.organization_id = t.organization_id and (e.era, e.xact, e.id) > (last.era, last.xact, last.id)
    order by e.era, e.xact, e.id limit 1) next
  where (after is null or t.organization_id > after)
    and (next.era < current_era
      or (next.era = current_era and next.xact < pg_snapshot_xmin(pg_current_snapshot())))
  order by t.organization_id limit at_most;
end $$;

-- The next batch of each of these organizations, except those that another process is sealing. They stay locked until the end
-- of the transaction, which writes the seals. Several statements on purpose: each sees what was committed before it began, so
-- the last seal is read after the lock was taken.
create function hitl_audit_next_batches(organizations uuid[], max_events integer) returns table (
  organization_id uuid, number bigint, first_position bigint, last_position bigint, last_era smallint, last_xact xid8,
  last_id uuid, first_occurred_at timestamptz, last_occurred_at timestamptz, leaves bytea, root bytea, link bytea,
  previous_head text, previous_link bytea, misfits bigint
) language plpgsql volatile security definer set search_path = public, pg_temp set enable_bitmapscan = off as $$
#variable_conflict use_column
declare
  current_era smallint := hitl_audit_era();
  organization uuid;
  last audit_seals;
  after_era smallint;
  after_xact xid8;
  after_id uuid;
  batch record;
begin
  foreach organization in array organizations loop
    continue when not pg_try_advisory_xact_lock(hashtextextended('hitl audit ' || organization, 0));
    select * into last from audit_seals s where s.organization_id = organization order by s.number desc limit 1;
    -- Variables instead of COALESCE in the comparison, for the reason given above.
    after_era := coalesce(last.last_era, '-32768');
    after_xact := coalesce(last.last_xact, '0');
    after_id := coalesce(last.last_id, '00000000-0000-0000-0000-000000000000');
    select count(*) as size, count(*) filter (where not b.fits) as misfits, max(b.place) as place, min(b.occurred_at) as earliest, max(b.occurred_at) as latest,
        string_agg(sha256('\x00'::bytea || convert_to(b.record, 'UTF8')), ''::bytea order by b.place) as leaves,
        hitl_audit_link(coalesce(last.link, decode(repeat('00', 32), 'hex')), b.record order by b.place) as link,
        (array_agg(b.era order by b.place desc))[1] as era, (array_agg(b.xact order by b.place desc))[1] as xact,
        (array_agg(b.id order by b.place desc))[1] as id
      into batch from (
        select e.era, e.xact, e.id, e.occurred_at, e.record, hitl_audit_fits(e) as fits, row_number() over (order by e.era, e.xact, e.id) as place
        from events e where e.organization_id = organization
          and (e.era, e.xact, e.id) > (after_era, after_xact, after_id)
          and (e.era < current_era or (e.era = current_era and e.xact < pg_snapshot_xmin(pg_current_snapshot())))
        order by e.era, e.xact, e.id limit max_events) b;
    continue when batch.size = 0;
    organization_id := organization;
    number := coalesce(last.number, 0) + 1;
    first_position := coalesce(last.last_position, 0) + 1;
    last_position := coalesce(last.last_position, 0) + batch.size;
    last_era := batch.era;
    last_xact := batch.xact;
    last_id := batch.id;
    first_occurred_at := batch.earliest;
    last_occurred_at := batch.latest;
    leaves := batch.leaves;
    root := hitl_audit_root(batch.leaves);
    link := batch.link;
    previous_head := last.head;
    previous_link := last.link;
    misfits := batch.misfits;
    return next;
  end loop;
end $$;

-- Empties the erasable part of these events of the scope's organization, and returns the ids of those that had one. It takes
-- the lock that sealing, purging and setting a legal hold also take, so nothing is erased after a hold was confirmed. A row
-- lock would not be enough, because there is no policy row until the first change.
create function hitl_audit_erase(keys json) returns setof uuid language plpgsql volatile security definer
  set search_path = public, pg_temp as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('hitl audit ' || hitl_organization(), 0));
  perform set_config('hitl.audit', 'erase', true);
  if exists (select from audit_policies where organization_id = hitl_organization() and legal_hold) then
    raise exception 'events under legal hold are not erased' using errcode = 'insufficient_privilege';
  end if;
  return query update events e set erasable = null
    from json_to_recordset(keys) as wanted(era smallint, xact xid8, id uuid)
    cross join lateral (
      select place.ctid from events place where place.organization_id = hitl_organization()
        and (place.era, place.xact, place.id) = (wanted.era, wanted.xact, wanted.id) and place.erasable is not null
      offset 0) place
    where e.ctid = place.ctid
    returning e.id;
  perform set_config('hitl.audit', '', true);
end $$;

-- Deletes whole batches from the start of the chain of the scope's organization if all their events are older than its policy
-- allows: about `at_most` events. Their seals are deleted too, except the last, which is the anchor of what follows.
create function hitl_audit_purge(at_most integer, out events_purged bigint, out up_to_seal bigint,
  out up_to_position bigint) language plpgsql volatile security definer
  set search_path = public, pg_temp as $$
declare
  policy audit_policies;
  seal audit_seals;
  anchor audit_seals;
  since bigint;
begin
  events_purged := 0;
  perform pg_advisory_xact_lock(hashtextextended('hitl audit ' || hitl_organization(), 0));
  select * into policy from audit_policies where organization_id = hitl_organization() for share;
  if policy.retention_days is null or policy.legal_hold then return; end if;
  for seal in select * from audit_seals s where s.organization_id = hitl_organization() order by s.number loop
    exit when seal.last_occurred_at >= clock_timestamp() - make_interval(days => policy.retention_days);
    since := coalesce(since, seal.first_position);
    exit when anchor is not null and seal.last_position - since >= at_most;
    anchor := seal;
  end loop;
  if anchor is null then return; end if;
  perform set_config('hitl.audit', 'purge', true);
  delete from events e where e.organization_id = hitl_organization()
    and (e.era, e.xact, e.id) <= (anchor.last_era, anchor.last_xact, anchor.last_id);
  get diagnostics events_purged = row_count;
  delete from audit_seals s where s.organization_id = hitl_organization() and s.number < anchor.number;
  perform set_config('hitl.audit', '', true);
  up_to_seal := anchor.number;
  up_to_position := anchor.last_position;
end $$;

-- In PostgreSQL anyone may call a new function; access.sql grants the application's role what it needs.
revoke all on function hitl_audit_begin_era(), hitl_audit_unsealed(uuid, integer), hitl_audit_next_batches(uuid[], integer),
  hitl_audit_erase(json), hitl_audit_purge(integer), hitl_audit_era() from public;
