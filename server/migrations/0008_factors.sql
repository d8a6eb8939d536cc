-- How people prove themselves beyond a password, and the fresh proofs that stand behind sensitive acts.
-- Factors are the account's: a person has one set of them over all organizations.

create table totp_factors (
  account_id uuid not null references accounts on delete cascade,
  id uuid not null,
  -- The seed, sealed for this row.
  seed bytea not null,
  -- Null: begun, and not yet proven with a first code, for which there is time until expires_at.
  confirmed_at timestamptz(3),
  expires_at timestamptz(3),
  -- The time step of the last code that was taken: no code counts twice (RFC 6238, 5.2).
  last_step bigint not null default 0,
  last_used_at timestamptz(3),
  -- What allowed it to be begun, for the event of its confirmation.
  step_up_id uuid not null,
  step_up_method text not null,
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
  -- A signature that counts lower comes from a copy (WebAuthn, 6.1.1); 0 for those that do not count.
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

-- Codes for the day on which the other factor is lost; 120 random bits each, so a plain SHA-256.
create table recovery_codes (
  account_id uuid not null references accounts on delete cascade,
  code_hash bytea not null check (octet_length(code_hash) = 32),
  used_at timestamptz(3),
  created_at timestamptz(3) not null,
  primary key (account_id, code_hash)
);

-- The challenges that authenticators sign. Taken out by whoever answers them, right or wrong: each is good for one try.
create table passkey_challenges (
  challenge_hash bytea primary key check (octet_length(challenge_hash) = 32),
  purpose text not null check (purpose in ('registration', 'sign_in', 'second_factor', 'step_up')),
  -- Null: whoever signs in with it says who they are by the passkey that they pick.
  account_id uuid references accounts on delete cascade,
  -- The digest of the act, or the hash of the sign-in's challenge: an answer counts for nothing else.
  bound_to bytea,
  -- What allowed a registration to be begun, for the event of its end.
  step_up_id uuid,
  step_up_method text,
  expires_at timestamptz(3) not null,
  created_at timestamptz(3) not null,
  check ((account_id is null) = (purpose = 'sign_in'))
);
create index passkey_challenges_expiring on passkey_challenges (expires_at);

-- Sign-ins that wait for their second factor.
create table sign_in_challenges (
  token_hash bytea primary key check (octet_length(token_hash) = 32),
  account_id uuid not null references accounts on delete cascade,
  -- Where the sign-in leads.
  organization_id uuid not null references organizations on delete cascade,
  user_id uuid not null,
  -- How the person has signed in so far.
  methods text[] not null,
  tries smallint not null default 0,
  used_at timestamptz(3),
  expires_at timestamptz(3) not null,
  created_at timestamptz(3) not null
);
create index sign_in_challenges_expiring on sign_in_challenges (expires_at);

-- Fresh proofs, each for one act: `digest` says which. The act takes it in its own transaction.
create table step_ups (
  organization_id uuid not null references organizations on delete cascade,
  id uuid not null,
  user_id uuid not null,
  -- The session that earned it, where there is one: no other can use it.
  session_id uuid,
  digest bytea not null check (octet_length(digest) = 32),
  method text not null check (method in ('password', 'totp', 'passkey', 'recovery_code', 'sign_in')),
  -- SHA-256 of the token; null for a sign-in that counted as the proof, which is made and used in one.
  token_hash bytea check (octet_length(token_hash) = 32),
  used_at timestamptz(3),
  expires_at timestamptz(3) not null,
  created_at timestamptz(3) not null,
  primary key (organization_id, id),
  unique (organization_id, token_hash),
  foreign key (organization_id, user_id) references users on delete cascade,
  check ((method = 'sign_in') = (token_hash is null)),
  check (token_hash is not null or used_at is not null)
);
create index step_ups_expiring on step_ups (expires_at) where used_at is null;

-- The organization wants an explicit step-up from everybody, however fresh the sign-in.
alter table organizations add column require_step_up boolean not null default false;

do $$
declare
  name text;
begin
  foreach name in array array['totp_factors', 'passkeys', 'recovery_codes', 'passkey_challenges', 'sign_in_challenges',
    'step_ups'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
  end loop;
  foreach name in array array['totp_factors', 'passkeys', 'recovery_codes', 'sign_in_challenges'] loop
    execute format('create policy own on %I using (account_id = hitl_account()) with check (account_id = hitl_account())',
      name);
  end loop;
end $$;
create policy tenant on step_ups using (organization_id = hitl_organization())
  with check (organization_id = hitl_organization());

-- Before anybody knows whose they are: by the passkey's own id, the hash of the challenge, the hash of the token.
create policy by_lookup on passkeys for select using (encode(credential_id, 'hex') = hitl_lookup());
create policy by_lookup on passkey_challenges using (encode(challenge_hash, 'hex') = hitl_lookup())
  with check (encode(challenge_hash, 'hex') = hitl_lookup());
create policy by_lookup_select on sign_in_challenges for select using (encode(token_hash, 'hex') = hitl_lookup());
create policy by_lookup_update on sign_in_challenges for update using (encode(token_hash, 'hex') = hitl_lookup())
  with check (encode(token_hash, 'hex') = hitl_lookup());

-- Seals are renewed under a new key while the service runs.
create policy worker_select on totp_factors for select using (hitl_worker());
create policy worker_update on totp_factors for update using (hitl_worker()) with check (hitl_worker());
-- Background work clears away what has expired.
create policy worker_delete on totp_factors for delete using (hitl_worker() and expires_at is not null);
create policy worker_select on passkey_challenges for select using (hitl_worker());
create policy worker_delete on passkey_challenges for delete using (hitl_worker());
create policy worker_select on sign_in_challenges for select using (hitl_worker());
create policy worker_delete on sign_in_challenges for delete using (hitl_worker());
create policy worker_select on step_ups for select using (hitl_worker() and used_at is null);
create policy worker_delete on step_ups for delete using (hitl_worker() and used_at is null);
