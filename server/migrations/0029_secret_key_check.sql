-- Which SECRET_KEY the installation uses: 128 bits that are derived from it (RFC 5869) and tell nothing about it. Where data keys are
-- under KEY_ENCRYPTION_KEYS, nothing else that is stored would show that SECRET_KEY is another one than before.

create table secret_key_checks (
  organization_id uuid primary key check (organization_id = '00000000-0000-0000-0000-000000000000'),
  value text not null check (value ~ '^[0-9a-f]{32}$'),
  noted_at timestamptz(3) not null
);

alter table secret_key_checks enable row level security;
alter table secret_key_checks force row level security;
create policy tenant on secret_key_checks using (organization_id = hitl_organization())
  with check (organization_id = hitl_organization());
