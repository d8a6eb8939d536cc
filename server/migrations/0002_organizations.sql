-- Organizations, their people and teams, and the links that let people in. Every key begins with organization_id, so that
-- one tenant can be one shard.

create table organizations (
  organization_id uuid primary key,
  name text not null check (char_length(name) between 1 and 255),
  -- The installation's first organization, which the first admin and open registrations join.
  is_default boolean not null default false,
  -- Sensitive acts always need an explicit step-up, however recent the sign-in.
  require_step_up boolean not null default false,
  -- Pauses or stops all of its agents at once.
  agents_status text not null default 'active' check (agents_status in ('active', 'paused', 'stopped')),
  agents_paused_at timestamptz(3),
  agents_paused_by uuid,
  agents_pause_reason text check (char_length(agents_pause_reason) <= 512),
  -- When the grace period of a requested deletion ends; nobody can sign in during it. Then everything is deleted except the
  -- sealed audit (without its erasable parts) and this row, which keeps the id from being used again.
  delete_after timestamptz(3),
  deletion_requested_by uuid,
  -- From here on the deletion cannot be undone.
  deleted_at timestamptz(3),
  -- When its last row was deleted.
  cleared_at timestamptz(3),
  -- The account that created it; null for the installation's first.
  created_by uuid,
  idempotency_key text,
  idempotency_hash bytea,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now()
);
create unique index organizations_default on organizations (is_default) where is_default;
create unique index organizations_by_idempotency_key on organizations (created_by, idempotency_key)
  where idempotency_key is not null;
create index organizations_to_delete on organizations (delete_after) where delete_after is not null and cleared_at is null;
create trigger touch before update on organizations for each row execute function touch_updated_at();

-- A person who can sign in, in however many organizations.
create table accounts (
  id uuid primary key,
  email text not null check (char_length(email) between 3 and 254),
  -- The address in lower case, for comparing. `email` keeps it as it was typed.
  email_key text not null unique check (email_key = lower(email_key)),
  email_verified_at timestamptz(3),
  -- Null if the person signs in by other means.
  password_hash text,
  password_changed_at timestamptz(3),
  -- The organization of the last sign-in, which the next one starts in.
  last_organization_id uuid,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null
);
create trigger touch before update on accounts for each row execute function touch_updated_at();

-- An account's membership in one organization, with its role, and the name and address that the other members see.
create table users (
  organization_id uuid not null references organizations,
  id uuid not null,
  account_id uuid not null references accounts,
  email text not null check (char_length(email) between 3 and 254),
  email_key text not null check (email_key = lower(email_key)),
  name text check (char_length(name) between 1 and 255),
  role text not null check (role in ('owner', 'admin', 'reviewer', 'auditor')),
  is_active boolean not null default true,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  primary key (organization_id, id),
  unique (organization_id, email_key),
  unique (organization_id, account_id)
);
create index users_by_account on users (account_id);
-- At most one owner: a transfer of ownership has to be a single statement.
create unique index users_owner on users (organization_id) where role = 'owner';
create trigger touch before update on users for each row execute function touch_updated_at();

create table teams (
  organization_id uuid not null references organizations,
  id uuid not null,
  name text not null check (char_length(name) between 1 and 255),
  description text check (char_length(description) <= 512),
  created_by uuid,
  idempotency_key text,
  idempotency_hash bytea,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  primary key (organization_id, id),
  unique (organization_id, name),
  foreign key (organization_id, created_by) references users
);
create unique index teams_by_idempotency_key on teams (organization_id, created_by, idempotency_key)
  where idempotency_key is not null;
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

-- One-time links: invitations, and the link that sets up the first admin. Only the token's SHA-256 is stored.
create table invitations (
  organization_id uuid not null references organizations,
  id uuid not null,
  token_hash bytea not null check (octet_length(token_hash) = 32),
  email text,
  role text not null check (role in ('admin', 'reviewer', 'auditor')),
  created_by uuid,
  idempotency_key text,
  idempotency_hash bytea,
  expires_at timestamptz(3) not null,
  used_at timestamptz(3),
  -- An address that has an account: its owner alone may use the link, once signed in.
  reserved_for text,
  revoked_at timestamptz(3),
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  primary key (organization_id, id),
  foreign key (organization_id, created_by) references users
);
create unique index invitations_by_idempotency_key on invitations (organization_id, created_by, idempotency_key)
  where idempotency_key is not null;
create index invitations_over on invitations (expires_at);
create index invitations_by_token on invitations (token_hash);
-- For counting the invitations that an organization mailed recently.
create index invitations_addressed on invitations (organization_id, created_at) where email is not null;
create index invitations_open on invitations (organization_id, id) where used_at is null and revoked_at is null;
create trigger touch before update on invitations for each row execute function touch_updated_at();

-- Forced, because otherwise the owner of the tables would be exempt.
do $$
declare
  name text;
begin
  foreach name in array array['organizations', 'accounts', 'users', 'teams', 'team_members', 'invitations'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    continue when name = 'accounts';
    -- Compared as text, so that this condition cannot use an index on organization_id; only the statement's own conditions
    -- should. Otherwise a generic plan made while the table is new might read a whole tenant for one row (docs/decisions/0004).
    execute format('create policy tenant on %I using (organization_id::text = current_setting(''hitl.organization'', true)) '
      'with check (organization_id::text = current_setting(''hitl.organization'', true))', name);
  end loop;
end $$;
create policy own on accounts using (id = hitl_account()) with check (id = hitl_account());
create policy by_lookup on accounts for select using (email_key = hitl_lookup());
create policy by_lookup on invitations for select using (encode(token_hash, 'hex') = hitl_lookup());
-- People see their own memberships and the organizations they belong to.
create policy by_account on users for select using (account_id = hitl_account());
create policy by_account on organizations for select using (exists (
  select from users where users.organization_id = organizations.organization_id and users.account_id = hitl_account()));
-- Background work sees only the rows it has to act on: here the organizations that are not completely deleted. PostgreSQL
-- combines the policies of a command with OR and might use a plain condition to find rows; a CASE only filters.
create policy worker on organizations for select
  using (case when hitl_worker() then cleared_at is null else false end);
create policy worker_select on invitations for select
  using (case when hitl_worker() then expires_at < now() - interval '30 days' else false end);
create policy worker_delete on invitations for delete
  using (case when hitl_worker() then expires_at < now() - interval '30 days' else false end);

-- Deletes up to `at_most` rows of the scope's organization, from any table, and returns how many it deleted. Call it until it
-- returns 0. It finds tables by their column organization_id, so none can be forgotten. Newer tables come first because they
-- refer to older ones; rows that are still referred to are deleted by a later call. Members are left to the caller, which
-- also has to deal with their accounts; refresh tokens are deleted with their sessions; the audit stays.
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
      and c.relname not in ('organizations', 'users', 'refresh_tokens', 'events') and c.relname not like 'audit\_%'
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
  -- Two tables that refer to each other would block each other for ever: report that instead of returning 0.
  if total = 0 and held is not null then
    raise exception 'rows of % are referred to by rows that cannot be deleted', held using errcode = 'foreign_key_violation';
  end if;
  return total;
end $$;
