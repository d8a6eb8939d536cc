-- What one person put aside, and what they have begun to answer. Both are theirs alone.

create table request_snoozes (
  organization_id uuid not null,
  user_id uuid not null,
  request_id uuid not null,
  -- Out of this person's queues until then.
  until timestamptz(3) not null,
  primary key (organization_id, user_id, request_id),
  foreign key (organization_id, user_id) references users,
  foreign key (organization_id, request_id) references consultation_requests
);
create index request_snoozes_until on request_snoozes (until);

create table request_drafts (
  organization_id uuid not null,
  request_id uuid not null,
  user_id uuid not null,
  revision integer not null check (revision >= 1),
  -- As the person's program wrote it.
  answer json not null,
  updated_at timestamptz(3) not null,
  -- By request, because they go when it closes.
  primary key (organization_id, request_id, user_id),
  foreign key (organization_id, user_id) references users,
  foreign key (organization_id, request_id) references consultation_requests
);
create index request_drafts_by_person on request_drafts (organization_id, user_id, updated_at);

do $$
declare
  name text;
begin
  foreach name in array array['request_snoozes', 'request_drafts'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format('create policy tenant on %I using (organization_id = hitl_organization()) '
      'with check (organization_id = hitl_organization())', name);
  end loop;
end $$;
create policy sweeping on request_snoozes for select using (hitl_worker());
create policy sweeping_delete on request_snoozes for delete using (hitl_worker());
