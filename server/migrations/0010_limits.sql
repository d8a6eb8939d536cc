-- Limits count calls before the caller is known, so these tables have no organization. The grants (access.sql) protect them,
-- and their keys are HMACs, which reveal nothing. Row-level security is forced as on every table, with a policy that admits
-- all rows.

-- The calls that each caller has made in its current window, in all processes (platform/limits/rate-limit-store.ts). Unlogged,
-- so that no call waits for a disk; a crash or a failover loses a minute's count.
create unlogged table rate_limits (
  key bytea primary key,
  ends_at timestamptz(3) not null,
  taken integer not null check (taken >= 0),
  -- How many the last statement took, for its RETURNING.
  granted integer not null
) with (fillfactor = 50);
create index rate_limits_ended on rate_limits (ends_at);
alter table rate_limits enable row level security;
alter table rate_limits force row level security;
create policy everyone on rate_limits using (true) with check (true);

-- Failed attempts to prove an identity (identity/throttle/store.ts): one row per account and network, one per network, and one
-- per account.
create table attempt_tallies (
  key bytea primary key,
  failures integer not null check (failures >= 0),
  failed_at timestamptz(3) not null,
  -- No further attempt is checked before this time.
  not_before timestamptz(3),
  -- When this account last proved its identity from this network.
  known_at timestamptz(3),
  -- When the row no longer matters and can be deleted.
  forget_at timestamptz(3) not null
) with (fillfactor = 70);
create index attempt_tallies_to_forget on attempt_tallies (forget_at);
alter table attempt_tallies enable row level security;
alter table attempt_tallies force row level security;
create policy everyone on attempt_tallies using (true) with check (true);
