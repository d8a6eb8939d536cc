-- A sign-in that lasts: what an access token names, so that it can be ended before the token runs out.
create table sessions (
  id uuid primary key,
  account_id uuid not null references accounts on delete cascade,
  -- A session is of one membership; switching the organization opens another.
  organization_id uuid not null,
  user_id uuid not null,
  -- A browser renews its session with a cookie; a bearer's ends with its access token.
  kind text not null check (kind in ('browser', 'bearer')),
  -- password, totp, recovery_code, passkey, oidc: what was proved when it was opened.
  signed_in_with text[] not null,
  signed_in_at timestamptz(3) not null,
  network text,
  user_agent text,
  last_used_at timestamptz(3) not null,
  -- Renewing moves idle_until, never expires_at.
  idle_until timestamptz(3) not null,
  expires_at timestamptz(3) not null,
  revoked_at timestamptz(3),
  revoked_because text check (revoked_because in ('signed_out', 'revoked', 'reuse', 'switched', 'password_changed', 'deactivated')),
  foreign key (organization_id, user_id) references users
);
create index sessions_by_account on sessions (account_id, id);
create index sessions_by_user on sessions (organization_id, user_id, id);
create index sessions_over on sessions (expires_at);

-- Every refresh token a session ever had, as SHA-256: one that comes again after it was replaced gives the thief away.
create table refresh_tokens (
  token_hash bytea primary key check (octet_length(token_hash) = 32),
  account_id uuid not null,
  organization_id uuid not null,
  session_id uuid not null references sessions on delete cascade,
  generation integer not null,
  replaced_at timestamptz(3),
  created_at timestamptz(3) not null
);
create index refresh_tokens_by_session on refresh_tokens (session_id, generation);

alter table sessions enable row level security;
alter table sessions force row level security;
create policy own on sessions using (account_id = hitl_account()) with check (account_id = hitl_account());
create policy tenant on sessions using (organization_id = hitl_organization())
  with check (organization_id = hitl_organization());
create policy worker on sessions for select using (hitl_worker());
create policy worker_delete on sessions for delete using (hitl_worker() and expires_at < now());

alter table refresh_tokens enable row level security;
alter table refresh_tokens force row level security;
create policy own on refresh_tokens using (account_id = hitl_account()) with check (account_id = hitl_account());
create policy by_lookup on refresh_tokens for select using (encode(token_hash, 'hex') = hitl_lookup());
