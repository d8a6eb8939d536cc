-- Keys that encrypt stored secrets, and keys that sign what others must be able to verify.

-- The data keys of each organization (the all-zero one for the installation), wrapped by a key-encryption key that is not in
-- the database (platform/secrets/envelope.ts). The one that is not retired encrypts new values; the others decrypt old ones.
create table data_keys (
  organization_id uuid not null,
  id uuid not null,
  -- The key-encryption key that wrapped it.
  kek_id text not null check (kek_id ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
  -- Nonce, tag and the 32 bytes under AES-256-GCM.
  wrapped bytea not null check (octet_length(wrapped) = 60),
  created_at timestamptz(3) not null,
  retired_at timestamptz(3),
  primary key (organization_id, id)
);
create unique index data_keys_current on data_keys (organization_id) where retired_at is null;
alter table data_keys enable row level security;
alter table data_keys force row level security;
create policy tenant on data_keys using (organization_id = hitl_organization())
  with check (organization_id = hitl_organization());
create policy resealer_select on data_keys for select using (hitl_resealer());

-- Ed25519 keys of the installation. The public part is kept for ever, so that earlier signatures can always be verified.
create table signing_keys (
  organization_id uuid not null check (organization_id = '00000000-0000-0000-0000-000000000000'),
  id uuid not null,
  -- The RFC 7638 thumbprint of the public part.
  kid text not null check (kid ~ '^[A-Za-z0-9_-]{43}$'),
  purpose text not null check (purpose in ('access_token', 'certificate', 'audit_head')),
  public_key bytea not null check (octet_length(public_key) = 32),
  -- Encrypted; removed when the key retires, so that nobody can backdate a signature.
  private_key bytea,
  -- Encrypted: what the key is and what it signs. Nobody can make it who has only the database.
  proof bytea not null,
  created_at timestamptz(3) not null,
  -- When it starts to sign. It is published from its creation on, so that copies of the key set have it in time.
  active_at timestamptz(3) not null,
  retired_at timestamptz(3),
  -- When it was found to have leaked: none of its signatures is valid any more.
  revoked_at timestamptz(3),
  primary key (organization_id, id),
  unique (organization_id, kid),
  check (private_key is not null or retired_at is not null)
);
create unique index signing_keys_current on signing_keys (organization_id, purpose) where retired_at is null;
alter table signing_keys enable row level security;
alter table signing_keys force row level security;
create policy tenant on signing_keys using (organization_id = hitl_organization())
  with check (organization_id = hitl_organization());
