-- How people prove who they are: sessions, mailed links, second factors, and the step-ups that sensitive acts need. Factors
-- belong to the account, so a person has one set of them in all organizations.

-- Access tokens name their session, so that it can be ended before the token expires.
create table sessions (
  id uuid primary key,
  account_id uuid not null references accounts on delete cascade,
  -- A session belongs to one membership; switching to another organization opens another session.
  organization_id uuid not null,
  user_id uuid not null,
  -- A browser renews its session with a cookie; a bearer session ends with its access token.
  kind text not null check (kind in ('browser', 'bearer')),
  -- The factors that were proved at sign-in: password, totp, recovery_code, passkey, oidc.
  signed_in_with text[] not null,
  signed_in_at timestamptz(3) not null,
  -- What opened it, if single sign-on did: it ends with either.
  identity_provider_id uuid,
  sso_identity_id uuid,
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
create index sessions_by_provider on sessions (identity_provider_id) where identity_provider_id is not null;
create index sessions_over on sessions (expires_at);

-- The SHA-256 of every refresh token a session ever had: if one is used again after it was replaced, it was stolen.
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

-- One-time links for setting a new password and for verifying or changing the address. Only the token's SHA-256 is stored.
create table account_links (
  id uuid primary key,
  account_id uuid not null references accounts on delete cascade,
  purpose text not null check (purpose in ('password_reset', 'email_verification', 'email_change')),
  token_hash bytea not null unique check (octet_length(token_hash) = 32),
  -- The address that the link was mailed to and therefore proves; null for a link that the operator printed.
  email text check (char_length(email) between 3 and 254),
  expires_at timestamptz(3) not null,
  used_at timestamptz(3),
  created_at timestamptz(3) not null,
  -- The session that asked for another address: the link works only while it is live.
  session_id uuid check (session_id is null or purpose = 'email_change'),
  -- Counted apart, so that strangers cannot use up what the owner may ask for.
  from_known_network boolean not null
);
create index account_links_over on account_links (expires_at);
create index account_links_by_account on account_links (account_id, purpose);

create table totp_factors (
  account_id uuid not null references accounts on delete cascade,
  id uuid not null,
  -- Encrypted for this row.
  seed bytea not null,
  -- Null until the first code confirms it, which must happen before expires_at.
  confirmed_at timestamptz(3),
  expires_at timestamptz(3),
  -- The time step of the last accepted code: no code is accepted twice (RFC 6238, 5.2).
  last_step bigint not null default 0,
  last_used_at timestamptz(3),
  -- The session that began the enrolment, and alone can confirm it.
  session_id uuid,
  -- The step-up that allowed the enrolment, for the event that its confirmation writes.
  step_up_id uuid not null,
  step_up_method text not null check (step_up_method in ('password', 'totp', 'passkey', 'recovery_code', 'sign_in')),
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  primary key (account_id, id),
  check ((confirmed_at is null) = (expires_at is not null))
);
create unique index totp_factors_confirmed on totp_factors (account_id) where confirmed_at is not null;
create unique index totp_factors_begun on totp_factors (account_id) where confirmed_at is null;
create unique index totp_factors_by_id on totp_factors (id);
create index totp_factors_expiring on totp_factors (expires_at) where expires_at is not null;
create trigger touch before update on totp_factors for each row execute function touch_updated_at();

create table passkeys (
  account_id uuid not null references accounts on delete cascade,
  id uuid not null,
  credential_id bytea not null unique check (octet_length(credential_id) between 1 and 1023),
  -- COSE, as the authenticator gave it.
  public_key bytea not null,
  -- A signature with a lower count comes from a copy (WebAuthn, 6.1.1). 0 for authenticators that do not count.
  sign_count bigint not null check (sign_count >= 0),
  transports text[] not null,
  name text not null check (char_length(name) between 1 and 100),
  is_backed_up boolean not null,
  last_used_at timestamptz(3),
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  primary key (account_id, id)
);
create trigger touch before update on passkeys for each row execute function touch_updated_at();

-- Codes to use when the other factor is lost. Each has 120 random bits, so a plain SHA-256 is enough.
create table recovery_codes (
  account_id uuid not null references accounts on delete cascade,
  code_hash bytea not null check (octet_length(code_hash) = 32),
  used_at timestamptz(3),
  created_at timestamptz(3) not null,
  primary key (account_id, code_hash)
);

-- The challenges that authenticators sign. The first reply, right or wrong, removes its challenge: there is one try for each.
create table passkey_challenges (
  challenge_hash bytea primary key check (octet_length(challenge_hash) = 32),
  purpose text not null check (purpose in ('registration', 'sign_in', 'second_factor', 'step_up')),
  -- Null for a sign-in, where the chosen passkey identifies the person.
  account_id uuid references accounts on delete cascade,
  -- The digest of the act, or the hash of the sign-in's challenge: the reply is valid for nothing else.
  bound_to bytea,
  -- The session that began a registration or a step-up; no other can reply.
  session_id uuid,
  -- The step-up that allowed the registration, for the event that its completion writes.
  step_up_id uuid,
  step_up_method text check (step_up_method in ('password', 'totp', 'passkey', 'recovery_code', 'sign_in')),
  expires_at timestamptz(3) not null,
  created_at timestamptz(3) not null,
  check ((account_id is null) = (purpose = 'sign_in'))
);
create index passkey_challenges_by_account on passkey_challenges (account_id) where account_id is not null;
create index passkey_challenges_expiring on passkey_challenges (expires_at);

-- Sign-ins that are waiting for the second factor.
create table sign_in_challenges (
  token_hash bytea primary key check (octet_length(token_hash) = 32),
  account_id uuid not null references accounts on delete cascade,
  -- The membership that the sign-in leads to.
  organization_id uuid not null references organizations on delete cascade,
  user_id uuid not null,
  -- The factors that were proved so far.
  methods text[] not null,
  tries smallint not null default 0,
  used_at timestamptz(3),
  expires_at timestamptz(3) not null,
  created_at timestamptz(3) not null
);
create index sign_in_challenges_by_account on sign_in_challenges (account_id);
create index sign_in_challenges_by_user on sign_in_challenges (organization_id, user_id);
create index sign_in_challenges_expiring on sign_in_challenges (expires_at);

-- Recent proofs of identity, each for the one act that `digest` identifies, which uses it up in its own transaction.
create table step_ups (
  organization_id uuid not null references organizations on delete cascade,
  id uuid not null,
  user_id uuid not null,
  -- The session that it was made in, if any: no other can use it.
  session_id uuid,
  digest bytea not null check (octet_length(digest) = 32),
  method text not null check (method in ('password', 'totp', 'passkey', 'recovery_code', 'sign_in')),
  -- SHA-256 of the token; null if the sign-in itself counted as the proof, and the row was created and used at once.
  token_hash bytea check (octet_length(token_hash) = 32),
  used_at timestamptz(3),
  -- The Idempotency-Key of the act that used it: a repetition of that act may use it again.
  idempotency_key text,
  expires_at timestamptz(3) not null,
  created_at timestamptz(3) not null,
  primary key (organization_id, id),
  unique (organization_id, token_hash),
  foreign key (organization_id, user_id) references users on delete cascade,
  check ((method = 'sign_in') = (token_hash is null)),
  check (token_hash is not null or used_at is not null)
);
create index step_ups_expiring on step_ups (expires_at) where used_at is null;
create index step_ups_by_idempotency_key on step_ups (organization_id, user_id, idempotency_key)
  where idempotency_key is not null;

do $$
declare
  name text;
  command text;
begin
  foreach name in array array['sessions', 'refresh_tokens', 'account_links', 'totp_factors', 'passkeys', 'recovery_codes',
    'passkey_challenges', 'sign_in_challenges', 'step_ups'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
  end loop;
  foreach name in array array['sessions', 'refresh_tokens', 'account_links', 'totp_factors', 'passkeys', 'recovery_codes',
    'sign_in_challenges'] loop
    execute format('create policy own on %I using (account_id = hitl_account()) with check (account_id = hitl_account())',
      name);
  end loop;
  foreach name in array array['sessions', 'sign_in_challenges', 'step_ups'] loop
    execute format('create policy tenant on %I using (organization_id = hitl_organization()) '
      'with check (organization_id = hitl_organization())', name);
  end loop;
  -- Background work deletes what has expired. A CASE, for the reason given in 0002_organizations.sql.
  foreach name in array array['totp_factors', 'passkey_challenges', 'sign_in_challenges', 'step_ups', 'sessions',
    'account_links'] loop
    foreach command in array array['select', 'delete'] loop
      execute format('create policy worker_%s on %I for %s using (case when hitl_worker() then expires_at < now()%s else false end)',
        command, name, command, case name
          -- A used step-up is kept as the proof of its act, and a session so that it can still be listed.
          when 'step_ups' then ' and used_at is null' when 'sessions' then ' - interval ''30 days'''
          -- Those of a day are counted.
          when 'account_links' then ' - interval ''1 day''' else '' end);
    end loop;
  end loop;
end $$;

-- Before the account is known, rows are found by the passkey's id or by the hash of the challenge or token.
create policy by_lookup on refresh_tokens for select using (encode(token_hash, 'hex') = hitl_lookup());
create policy by_lookup on account_links for select using (encode(token_hash, 'hex') = hitl_lookup());
create policy by_lookup on passkeys for select using (encode(credential_id, 'hex') = hitl_lookup());
create policy by_lookup on passkey_challenges using (encode(challenge_hash, 'hex') = hitl_lookup())
  with check (encode(challenge_hash, 'hex') = hitl_lookup());
create policy by_lookup_select on sign_in_challenges for select using (encode(token_hash, 'hex') = hitl_lookup());
create policy by_lookup_update on sign_in_challenges for update using (encode(token_hash, 'hex') = hitl_lookup())
  with check (encode(token_hash, 'hex') = hitl_lookup());
create policy resealer_select on totp_factors for select using (hitl_resealer());
create policy resealer_update on totp_factors for update using (hitl_resealer()) with check (hitl_resealer());
