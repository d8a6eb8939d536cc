-- Agents: who asks. A key is only how an agent proves itself, and several of them may at once, so keys can be replaced while
-- the agent keeps its requests.

-- The owner of the tables is held to row-level security too (0005_tenancy.sql), and must see the rows that are read here.
alter table api_keys no force row level security;

create table agents (
  organization_id uuid not null references organizations,
  id uuid not null,
  name text not null check (char_length(name) between 1 and 255),
  description text check (char_length(description) <= 512),
  -- The person who answers for it.
  owner_id uuid,
  -- paused: asks nothing new. stopped: does nothing at all.
  status text not null default 'active' check (status in ('active', 'paused', 'stopped')),
  paused_at timestamptz(3),
  paused_by uuid,
  pause_reason text check (char_length(pause_reason) <= 512),
  -- The organization's switch, repeated here: a create locks and reads this one row, and no row of everybody's.
  organization_status text not null default 'active' check (organization_status in ('active', 'paused', 'stopped')),
  -- When it was first refused because of the present pause.
  pause_acknowledged_at timestamptz(3),
  created_by uuid,
  idempotency_key text,
  idempotency_hash bytea,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  primary key (organization_id, id),
  unique (organization_id, created_by, idempotency_key),
  foreign key (organization_id, owner_id) references users,
  foreign key (organization_id, created_by) references users,
  check ((status = 'active') = (paused_at is null))
);

-- The same switch for all agents of an organization at once.
alter table organizations
  add column agents_status text not null default 'active' check (agents_status in ('active', 'paused', 'stopped')),
  add column agents_paused_at timestamptz(3),
  add column agents_paused_by uuid,
  add column agents_pause_reason text check (char_length(agents_pause_reason) <= 512);

-- One agent per key there is, with the key's id: so what refers to the key refers to its agent, and no such row is touched.
insert into agents (organization_id, id, name, description, owner_id, created_by, created_at, updated_at)
  select organization_id, id, name, description, created_by, created_by, created_at, created_at from api_keys;

alter table api_keys
  add column agent_id uuid,
  add column scopes text[] not null
    default '{requests:create,requests:read,requests:cancel,requests:redeliver,requests:redeem}',
  -- Null in keys that are older than this column only: they end when they are rotated.
  add column expires_at timestamptz(3),
  -- When it is to be said that the key will expire; null once it was, or need not be.
  add column warn_at timestamptz(3),
  -- None: from everywhere.
  add column allowed_networks cidr[] not null default '{}',
  add column last_used_address inet,
  add column rotated_from uuid,
  add column revoked_at timestamptz(3),
  add column revoked_by uuid,
  -- When somebody who should not have it showed it: such a key is never restored.
  add column leaked_at timestamptz(3);
update api_keys set agent_id = id, revoked_at = case when not is_active then updated_at end;
alter table api_keys
  alter column agent_id set not null,
  add foreign key (organization_id, agent_id) references agents,
  add foreign key (organization_id, rotated_from) references api_keys on delete set null (rotated_from),
  add check (cardinality(scopes) > 0),
  add check (cardinality(allowed_networks) <= 50),
  add check (is_active = (revoked_at is null)),
  add check (leaked_at is null or not is_active);
create index api_keys_by_agent on api_keys (organization_id, agent_id, id);
create index api_keys_to_warn on api_keys (warn_at) where warn_at is not null;
-- A key is looked for by the id that stands in it, as text: the policies below compare it so, and all of them use this.
create index api_keys_by_lookup on api_keys ((id::text));
drop index api_keys_by_id;

-- A request belongs to its agent.
alter table consultation_requests drop constraint consultation_requests_organization_id_api_key_id_fkey;
alter table consultation_requests rename column api_key_id to agent_id;
alter index consultations_by_key rename to consultations_by_agent;
alter table consultation_requests
  -- Not validated: each key's id is its agent's, and a scan would hold a large table under a lock.
  add constraint consultation_requests_agent_fkey foreign key (organization_id, agent_id) references agents not valid,
  -- Which of the agent's keys asked; null in older rows, where it has the agent's id. No foreign key: checking one more for
  -- every create would cost a row lock each, and keys are never deleted before the requests.
  add column api_key_id uuid;
alter table consultation_totals rename column api_key_id to agent_id;

-- Raised by the insert of a request whose agent may not ask just now.
create function hitl_refuse_agent() returns boolean language plpgsql volatile as $$
begin
  raise exception 'the agent is paused or stopped' using errcode = 'ZA001';
end $$;

alter table api_keys force row level security;
alter table agents enable row level security;
alter table agents force row level security;
create policy tenant on agents using (organization_id = hitl_organization())
  with check (organization_id = hitl_organization());
-- A call names a key, not an organization: its agent, and what the organization says of its agents, come with it.
-- By functions: a subquery in a policy is made ready by every statement on the table, and every create reads its agent; a
-- function is called only where the tenant's policy does not let the row pass.
create function hitl_is_looked_up_agent(organization uuid, agent uuid) returns boolean language sql stable parallel safe
  as $$ select exists (select from api_keys k
    where k.organization_id = organization and k.agent_id = agent and k.id::text = hitl_lookup()) $$;
create function hitl_is_looked_up_organization(organization uuid) returns boolean language sql stable parallel safe
  as $$ select exists (select from api_keys k where k.organization_id = organization and k.id::text = hitl_lookup()) $$;
create policy by_lookup on agents for select
  using (hitl_lookup() is not null and hitl_is_looked_up_agent(organization_id, id));
create policy by_lookup on organizations for select
  using (hitl_lookup() is not null and hitl_is_looked_up_organization(organization_id));
-- Background work: which keys are to be warned of.
create policy worker on api_keys for select using (hitl_worker() and warn_at is not null);
