-- Who there is: organizations, their people, their agents' keys, and the links that let people in.
-- Every key begins with organization_id, so that one tenant can be one shard.

create function touch_updated_at() returns trigger language plpgsql as $$
begin
  if new.updated_at = old.updated_at then
    new.updated_at := greatest(clock_timestamp(), old.updated_at + interval '1 millisecond');
  end if;
  return new;
end $$;

create table organizations (
  organization_id uuid primary key,
  name text not null check (char_length(name) between 1 and 255),
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now()
);
create trigger touch before update on organizations for each row execute function touch_updated_at();

create table users (
  organization_id uuid not null references organizations,
  id uuid not null,
  email text not null check (char_length(email) between 3 and 254),
  -- The form that is compared: lower case. Kept apart so that a person sees the address as it was typed.
  email_key text not null check (email_key = lower(email_key)),
  name text check (char_length(name) between 1 and 255),
  role text not null check (role in ('admin', 'reviewer')),
  password_hash text not null,
  is_active boolean not null default true,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  primary key (organization_id, id),
  unique (organization_id, email_key)
);
-- Signing in names no organization.
create index users_by_email on users (email_key);
create trigger touch before update on users for each row execute function touch_updated_at();

create table api_keys (
  organization_id uuid not null references organizations,
  id uuid not null,
  name text not null check (char_length(name) between 1 and 255),
  description text check (char_length(description) <= 512),
  -- SHA-256 of the whole key: 256 random bits need no slow hash.
  key_hash bytea not null check (octet_length(key_hash) = 32),
  is_active boolean not null default true,
  created_by uuid,
  idempotency_key text,
  idempotency_hash bytea,
  last_used_at timestamptz(3),
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  primary key (organization_id, id),
  unique (organization_id, created_by, idempotency_key),
  foreign key (organization_id, created_by) references users
);
-- The id stands in the key itself; the organization follows from the row.
create index api_keys_by_id on api_keys (id);

-- One-time links: the first admin's set-up link and invitations. Only the token's SHA-256 is kept.
create table invitations (
  organization_id uuid not null references organizations,
  id uuid not null,
  token_hash bytea not null check (octet_length(token_hash) = 32),
  email text,
  role text not null check (role in ('admin', 'reviewer')),
  created_by uuid,
  idempotency_key text,
  idempotency_hash bytea,
  expires_at timestamptz(3) not null,
  used_at timestamptz(3),
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  primary key (organization_id, id),
  unique (organization_id, created_by, idempotency_key),
  foreign key (organization_id, created_by) references users
);
create index invitations_by_token on invitations (token_hash);
create trigger touch before update on invitations for each row execute function touch_updated_at();
