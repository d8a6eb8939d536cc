-- Many organizations on one installation, and PostgreSQL's own word on whose rows a transaction may touch.
-- The service says in front of each transaction whose rows it is about (platform/scope.ts), with set_config(..., true);
-- row-level security, forced on the owner too, holds the statements to it. Nothing said means nothing seen.

create function hitl_organization() returns uuid language sql stable parallel safe
  as $$ select nullif(current_setting('hitl.organization', true), '')::uuid $$;
create function hitl_account() returns uuid language sql stable parallel safe
  as $$ select nullif(current_setting('hitl.account', true), '')::uuid $$;
-- The id, address or token hash of the one row that a caller names before anybody knows the organization.
create function hitl_lookup() returns text language sql stable parallel safe
  as $$ select nullif(current_setting('hitl.lookup', true), '') $$;
create function hitl_worker() returns boolean language sql stable parallel safe
  as $$ select coalesce(current_setting('hitl.worker', true), '') = 'on' $$;

-- How a person signs in, whatever organizations they belong to.
create table accounts (
  id uuid primary key,
  email text not null check (char_length(email) between 3 and 254),
  email_key text not null unique check (email_key = lower(email_key)),
  email_verified_at timestamptz(3),
  -- Null: this person signs in by other means.
  password_hash text,
  password_changed_at timestamptz(3),
  -- Where the last sign-in led, and the next one leads.
  last_organization_id uuid,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null
);
create trigger touch before update on accounts for each row execute function touch_updated_at();

-- A user is an account's membership in one organization: the role, and the name and address as its people see them.
alter table users add column account_id uuid references accounts;
with oldest as (
  select distinct on (email_key) * from users order by email_key, is_active desc, created_at
)
insert into accounts (id, email, email_key, password_hash, created_at, updated_at)
  select gen_random_uuid(), email, email_key, password_hash, created_at, updated_at from oldest;
update users set account_id = accounts.id from accounts where accounts.email_key = users.email_key;
alter table users alter column account_id set not null;
alter table users add unique (organization_id, account_id);
create index users_by_account on users (account_id);
drop index users_by_email;
alter table users drop column password_hash;
alter table users drop constraint users_role_check;
alter table users add constraint users_role_check check (role in ('owner', 'admin', 'reviewer', 'auditor'));
-- One owner at most; the transfer is one statement.
create unique index users_owner on users (organization_id) where role = 'owner';

alter table invitations drop constraint invitations_role_check;
alter table invitations add constraint invitations_role_check check (role in ('admin', 'reviewer', 'auditor'));
alter table invitations add column revoked_at timestamptz(3);
create index invitations_open on invitations (organization_id, id) where used_at is null and revoked_at is null;

-- Deletion with a grace period: nobody gets in any more, and after the time everything of the organization goes.
alter table organizations add column delete_after timestamptz(3);
alter table organizations add column deletion_requested_by uuid;
create index organizations_to_delete on organizations (delete_after) where delete_after is not null;

create table teams (
  organization_id uuid not null references organizations,
  id uuid not null,
  name text not null check (char_length(name) between 1 and 255),
  description text check (char_length(description) <= 512),
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  primary key (organization_id, id),
  unique (organization_id, name)
);
create trigger touch before update on teams for each row execute function touch_updated_at();

create table team_members (
  organization_id uuid not null,
  team_id uuid not null,
  user_id uuid not null,
  is_lead boolean not null default false,
  created_at timestamptz(3) not null,
  primary key (organization_id, team_id, user_id),
  foreign key (organization_id, team_id) references teams on delete cascade,
  foreign key (organization_id, user_id) references users
);
create index team_members_by_user on team_members (organization_id, user_id);

-- Forced: the owner, who migrates, is held to it as well.
do $$
declare
  name text;
begin
  foreach name in array array['organizations', 'users', 'api_keys', 'invitations', 'teams', 'team_members', 'events',
    'consultation_requests', 'consultation_totals', 'callback_outbox', 'webhook_deliveries'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    -- Compared as text: an index on organization_id is for the statement's own conditions. A generic plan that is made while the
    -- table is new would else take it for this one, and read a whole tenant for one row (docs/decisions/0004).
    execute format('create policy tenant on %I using (organization_id::text = current_setting(''hitl.organization'', true)) '
      'with check (organization_id::text = current_setting(''hitl.organization'', true))', name);
  end loop;
end $$;

alter table accounts enable row level security;
alter table accounts force row level security;
create policy own on accounts using (id = hitl_account()) with check (id = hitl_account());
create policy by_lookup on accounts for select using (email_key = hitl_lookup());

-- A person sees their own memberships, and what their organizations are called.
create policy by_account on users for select using (account_id = hitl_account());
create policy by_account on organizations for select using (exists (
  select from users where users.organization_id = organizations.organization_id and users.account_id = hitl_account()));
create policy by_lookup on api_keys for select using (id::text = hitl_lookup());
create policy by_lookup on invitations for select using (encode(token_hash, 'hex') = hitl_lookup());

-- Background work: which organizations there are, and what is due.
create policy worker on organizations for select using (hitl_worker());
-- PostgreSQL joins policies with OR and asks the one with the last name first: for nearly every row that shall be the tenant's.
create policy background on consultation_requests for select using (hitl_worker() and next_action_at is not null);
create policy worker_select on callback_outbox for select using (hitl_worker() and due_at is not null);
create policy worker_update on callback_outbox for update
  using (hitl_worker() and due_at is not null) with check (hitl_worker() and due_at is not null);
