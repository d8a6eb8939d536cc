-- Limits are the installation's, not an organization's: they are counted before anybody is known, and for callers who never
-- will be. So these tables have no organization; what holds them is the grants (access.sql) and that keys are HMACs, which
-- say nothing to a reader of the table. Row-level security is on and forced as everywhere, with a policy for all rows.

-- How many calls a caller has taken of its window, shared by all processes (platform/limits/rate-limit-store.ts). Unlogged: what a
-- crash or a failover forgets is a minute's count, and no call waits for a disk because of it.
create unlogged table rate_limits (
  key bytea primary key,
  ends_at timestamptz(3) not null,
  taken integer not null check (taken >= 0),
  -- What the last statement took: RETURNING tells it to who asked.
  granted integer not null
) with (fillfactor = 50);
create index rate_limits_ended on rate_limits (ends_at);
alter table rate_limits enable row level security;
alter table rate_limits force row level security;
create policy everyone on rate_limits using (true) with check (true);

-- How often somebody has failed to prove who they are (identity/throttle/store.ts): one row per account and network, per
-- network, and per account.
create table attempt_tallies (
  key bytea primary key,
  failures integer not null check (failures >= 0),
  failed_at timestamptz(3) not null,
  -- Nothing is tried before this time.
  not_before timestamptz(3),
  -- When this account last proved itself from this network.
  known_at timestamptz(3),
  -- From when on the row says nothing any more.
  forget_at timestamptz(3) not null
) with (fillfactor = 70);
create index attempt_tallies_to_forget on attempt_tallies (forget_at);
alter table attempt_tallies enable row level security;
alter table attempt_tallies force row level security;
create policy everyone on attempt_tallies using (true) with check (true);
