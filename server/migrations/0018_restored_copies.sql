-- One row for each time that a backup was restored into this database. While one is not released, the installation sends no
-- callbacks and no mail: what was waiting at the time of the backup may have been sent since by the original.
create table restored_copies (
  organization_id uuid not null check (organization_id = '00000000-0000-0000-0000-000000000000'),
  id uuid not null,
  backed_up_at timestamptz(3) not null,
  -- The SHA-256 that the backup's last line gives of everything before it.
  backup_sha256 bytea not null check (octet_length(backup_sha256) = 32),
  restored_at timestamptz(3) not null,
  released_at timestamptz(3),
  primary key (organization_id, id)
);
alter table restored_copies enable row level security;
alter table restored_copies force row level security;
create policy tenant on restored_copies using (organization_id = hitl_organization())
  with check (organization_id = hitl_organization());
