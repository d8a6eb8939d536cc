-- Sign-in through OpenID Connect.

-- The identity providers that an organization trusts. A provider vouches for people in its own organization only.
create table identity_providers (
  organization_id uuid not null references organizations on delete cascade,
  id uuid not null,
  name text not null check (char_length(name) between 1 and 255),
  issuer text not null check (char_length(issuer) between 1 and 2000),
  client_id text not null check (char_length(client_id) between 1 and 512),
  -- Encrypted; null for a public client.
  client_secret bytea,
  scopes text[] not null,
  role_claim text,
  role_map jsonb not null,
  default_role text check (default_role in ('admin', 'reviewer', 'auditor')),
  team_claim text,
  team_map jsonb not null,
  creates_members boolean not null,
  email_domains text[] not null,
  is_enforced boolean not null,
  is_active boolean not null,
  -- When a person last signed in or linked an account through the provider as it is configured now.
  proven_at timestamptz(3),
  created_by uuid,
  idempotency_key text,
  idempotency_hash bytea,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  primary key (organization_id, id),
  unique (organization_id, issuer, client_id),
  check (is_active or not is_enforced)
);
create unique index identity_providers_by_idempotency_key on identity_providers (organization_id, created_by, idempotency_key)
  where idempotency_key is not null;
create index identity_providers_by_id on identity_providers (id);

-- A person as a provider knows them: by issuer and subject alone (OpenID Connect Core, 2). It belongs to a membership and not
-- to the account, so one organization's provider cannot give access to another organization.
create table sso_identities (
  organization_id uuid not null,
  id uuid not null,
  issuer text not null,
  subject text not null check (char_length(subject) between 1 and 255),
  user_id uuid not null,
  created_at timestamptz(3) not null,
  last_used_at timestamptz(3),
  primary key (organization_id, id),
  unique (organization_id, issuer, subject),
  foreign key (organization_id, user_id) references users on delete cascade
);
create index sso_identities_by_user on sso_identities (organization_id, user_id);

-- Sign-ins that are under way at a provider. They last minutes and are deleted by the first reply.
create table sso_flows (
  organization_id uuid not null,
  id uuid not null,
  provider_id uuid not null,
  state_hash bytea not null check (octet_length(state_hash) = 32),
  -- The hash of the value that the browser holds in a cookie.
  browser_hash bytea not null check (octet_length(browser_hash) = 32),
  -- Nonce and PKCE verifier, encrypted.
  secrets bytea not null,
  -- The member who is linking an identity; null for a sign-in.
  user_id uuid,
  -- The session that links the identity, or that this browser had when the sign-in began.
  session_id uuid,
  return_to text not null,
  expires_at timestamptz(3) not null,
  created_at timestamptz(3) not null,
  primary key (organization_id, id),
  unique (organization_id, state_hash),
  foreign key (organization_id, provider_id) references identity_providers on delete cascade,
  foreign key (organization_id, user_id) references users on delete cascade
);
create index sso_flows_by_expiry on sso_flows (organization_id, expires_at);
create index sso_flows_over on sso_flows (expires_at);
create index sso_flows_by_provider on sso_flows (provider_id);
create index sso_flows_by_user on sso_flows (user_id) where user_id is not null;

do $$
declare
  name text;
begin
  foreach name in array array['identity_providers', 'sso_identities', 'sso_flows'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format('create policy tenant on %I using (organization_id = hitl_organization()) '
      'with check (organization_id = hitl_organization())', name);
  end loop;
end $$;
create policy worker_select on sso_flows for select
  using (case when hitl_worker() then expires_at < now() else false end);
create policy worker_delete on sso_flows for delete
  using (case when hitl_worker() then expires_at < now() else false end);
-- A sign-in names only the provider, not the organization.
create policy by_lookup on identity_providers for select using (id::text = hitl_lookup());
