-- Files of requests: those that an agent adds to what it asks, and those that a person adds to an answer. Contents are in chunks
-- here, or in an S3 store under organization/id.

create table attachments (
  organization_id uuid not null,
  id uuid not null,
  request_id uuid not null,
  added_by_kind text not null check (added_by_kind in ('agent', 'person')),
  added_by_id uuid not null,
  name text not null check (char_length(name) between 1 and 255),
  media_type text not null check (char_length(media_type) between 3 and 255),
  storage text not null check (storage in ('database', 's3')),
  -- The three are null while the upload is under way: nobody sees the file before.
  size bigint check (size >= 0),
  sha256 bytea check (octet_length(sha256) = 32),
  added_at timestamptz(3),
  -- When an answer took it: from then on it stays.
  sealed_at timestamptz(3),
  -- When it is deleted unless something happens first: an upload that does not end, a person's file that no answer takes.
  discard_at timestamptz(3),
  idempotency_key text,
  idempotency_hash bytea,
  created_at timestamptz(3) not null,
  primary key (organization_id, id),
  foreign key (organization_id, request_id) references consultation_requests,
  check ((added_at is null) = (size is null) and (added_at is null) = (sha256 is null)),
  constraint unfinished_is_discarded check (added_at is not null or discard_at is not null),
  constraint sealed_stays check (sealed_at is null or discard_at is null)
);
create index attachments_by_request on attachments (organization_id, request_id, id);
create unique index attachments_by_idempotency_key on attachments (organization_id, request_id, added_by_id, idempotency_key)
  where idempotency_key is not null;
create index attachments_discarded on attachments (discard_at) where discard_at is not null;

create table attachment_chunks (
  organization_id uuid not null,
  attachment_id uuid not null,
  number integer not null check (number >= 0),
  bytes bytea not null,
  primary key (organization_id, attachment_id, number),
  foreign key (organization_id, attachment_id) references attachments on delete cascade
);
-- Most files are compressed already. Without compression a part of a chunk can be read alone.
alter table attachment_chunks alter column bytes set storage external;

-- What the finished files of an organization come to.
create table attachment_usage (
  organization_id uuid primary key,
  bytes bigint not null
);

-- Objects of the S3 store whose row is gone: a worker deletes them. The organization itself may be gone, too.
create table discarded_objects (
  organization_id uuid not null,
  id uuid not null,
  discarded_at timestamptz(3) not null default now(),
  primary key (organization_id, id)
);
create index discarded_objects_by_time on discarded_objects (discarded_at);

do $$
declare
  name text;
begin
  foreach name in array array['attachments', 'attachment_chunks', 'attachment_usage', 'discarded_objects'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format('create policy tenant on %I using (organization_id = hitl_organization()) '
      'with check (organization_id = hitl_organization())', name);
  end loop;
end $$;
create policy discarding on attachments for select using (hitl_worker() and discard_at is not null);
create policy discarding_delete on attachments for delete using (hitl_worker() and discard_at is not null);
-- An object is noted, and what an organization uses falls, in the transaction that deletes the row: a worker's, too.
create policy discarding on discarded_objects using (hitl_worker()) with check (hitl_worker());
create policy discarding on attachment_usage using (hitl_worker()) with check (hitl_worker());

-- However a row ends (removal, erasure, an upload that was given up, the end of an organization), its object ends after it.
create function hitl_attachment_deleted() returns trigger language plpgsql as $$
begin
  if old.storage = 's3' then
    insert into discarded_objects (organization_id, id) values (old.organization_id, old.id) on conflict do nothing;
  end if;
  if old.added_at is not null then
    update attachment_usage set bytes = bytes - old.size where organization_id = old.organization_id;
  end if;
  return null;
end $$;
create trigger attachment_deleted after delete on attachments for each row execute function hitl_attachment_deleted();

-- As the owner, because the application has no right to delete there: the deletion of an organization takes every table of which
-- the application may delete rows, and these have to outlive it.
create function hitl_forget_object(organization uuid, object uuid) returns void
language sql volatile security definer set search_path = public, pg_temp as $$
  delete from discarded_objects where organization_id = organization and id = object
$$;
revoke execute on function hitl_forget_object(uuid, uuid) from public;

-- The files that the agent added to what it asks, as the wire has them: [{id, name, media_type, size, sha256}]. On the request's
-- row, because they are a part of its digest; null: none.
alter table consultation_requests add column attachments json;
