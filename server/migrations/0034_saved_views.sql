-- What one person calls a list of the inbox: its filters and its order, under a name.

create table saved_views (
  organization_id uuid not null,
  id uuid not null,
  user_id uuid not null,
  name text not null,
  -- As in the address of the list: risk=high,critical&sort=due.
  query text not null,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  primary key (organization_id, id),
  foreign key (organization_id, user_id) references users
);
create index saved_views_by_person on saved_views (organization_id, user_id, id);

alter table saved_views enable row level security;
alter table saved_views force row level security;
create policy tenant on saved_views using (organization_id = hitl_organization()) with check (organization_id = hitl_organization());
