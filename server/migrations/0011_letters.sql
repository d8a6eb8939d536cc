-- The outbox of mail: a letter is inserted in the transaction of the change that it is about, and workers take it by a lease.
-- Letters about people's accounts are the installation's (the all-zero organization), others their organization's.
create table letters (
  organization_id uuid not null,
  id uuid not null,
  kind text not null check (kind in ('password_reset', 'known_password_reset', 'email_verification', 'email_change', 'notice',
    'invitation', 'invited_account')),
  -- What its event is about when it is not sent.
  subject_kind text not null,
  subject_id uuid not null,
  -- The account that caused it, whose letters are limited over all organizations; null: nobody who is signed in.
  account_id uuid,
  -- The SHA-256 of the address, which is limited too. The address itself is sealed with the text.
  recipient bytea not null check (octet_length(recipient) = 32),
  -- Encrypted: texts contain links. Dropped once the letter is sent or given up.
  body bytea,
  status text not null default 'pending' check (status in ('pending', 'sent', 'failed')),
  attempts integer not null default 0,
  -- When a worker may take it next: the time of the next attempt or, during an attempt, the end of the lease.
  due_at timestamptz(3),
  lease_token uuid,
  -- Later it is of no use, because its link has expired.
  useful_until timestamptz(3) not null,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  primary key (organization_id, id),
  check ((status = 'pending') = (due_at is not null)),
  check ((status = 'pending') = (body is not null))
);
create index letters_due on letters (organization_id, due_at) where due_at is not null;
create index letters_by_recipient on letters (recipient, kind, updated_at);
create index letters_by_account on letters (account_id, kind, created_at);
create index letters_settled on letters (updated_at) where due_at is null;

alter table letters enable row level security;
alter table letters force row level security;
-- Workers see sent letters too: an address is counted over all organizations. CASE, as in 0007_deliveries.sql.
create policy tenant_insert on letters for insert
  with check (organization_id = hitl_organization() or organization_id = '00000000-0000-0000-0000-000000000000');
create policy tenant_account_or_worker_select on letters for select
  using (case when hitl_worker() then true when account_id = hitl_account() then true
    else organization_id = hitl_organization() end);
create policy tenant_or_worker_update on letters for update
  using (case when hitl_worker() then true else organization_id = hitl_organization() end)
  with check (case when hitl_worker() then true else organization_id = hitl_organization() end);
create policy tenant_or_worker_delete on letters for delete
  using (case when hitl_worker() then due_at is null else organization_id = hitl_organization() end);
