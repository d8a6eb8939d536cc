-- Agents, which ask the questions, and their API keys. An agent may have several keys, so that a key can be replaced while the
-- agent keeps its requests.

create table agents (
  organization_id uuid not null references organizations,
  id uuid not null,
  name text not null check (char_length(name) between 1 and 255),
  description text check (char_length(description) <= 512),
  -- The person who is responsible for it.
  owner_id uuid,
  -- A paused agent cannot ask anything new; a stopped one cannot make any call.
  status text not null default 'active' check (status in ('active', 'paused', 'stopped')),
  paused_at timestamptz(3),
  paused_by uuid,
  pause_reason text check (char_length(pause_reason) <= 512),
  -- A copy of the organization's agents_status, so that a create locks and reads this row alone and none that agents share.
  organization_status text not null default 'active' check (organization_status in ('active', 'paused', 'stopped')),
  -- When a call was first refused because of the current pause.
  pause_acknowledged_at timestamptz(3),
  created_by uuid,
  idempotency_key text,
  idempotency_hash bytea,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  primary key (organization_id, id),
  foreign key (organization_id, owner_id) references users,
  foreign key (organization_id, created_by) references users,
  check ((status = 'active') = (paused_at is null))
);
create unique index agents_by_idempotency_key on agents (organization_id, created_by, idempotency_key)
  where idempotency_key is not null;

create table api_keys (
  organization_id uuid not null references organizations,
  id uuid not null,
  agent_id uuid not null,
  name text not null check (char_length(name) between 1 and 255),
  description text check (char_length(description) <= 512),
  -- SHA-256 of the whole key: 256 random bits need no slow hash.
  key_hash bytea not null check (octet_length(key_hash) = 32),
  is_active boolean not null default true,
  scopes text[] not null
    default '{requests:create,requests:read,requests:cancel,requests:redeliver,requests:redeem}'
    check (cardinality(scopes) > 0),
  expires_at timestamptz(3) not null,
  -- When to warn that the key will expire; null once the warning was sent or is not needed.
  warn_at timestamptz(3),
  -- Empty: the key works from any address.
  allowed_networks cidr[] not null default '{}' check (cardinality(allowed_networks) <= 50),
  rotated_from uuid,
  revoked_at timestamptz(3),
  revoked_by uuid,
  -- When the key was seen in the wrong hands. Such a key is never restored.
  leaked_at timestamptz(3),
  last_used_at timestamptz(3),
  last_used_address inet,
  created_by uuid,
  idempotency_key text,
  idempotency_hash bytea,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  primary key (organization_id, id),
  foreign key (organization_id, agent_id) references agents,
  foreign key (organization_id, rotated_from) references api_keys on delete set null (rotated_from),
  foreign key (organization_id, created_by) references users,
  check (is_active = (revoked_at is null)),
  check (leaked_at is null or not is_active)
);
create unique index api_keys_by_idempotency_key on api_keys (organization_id, created_by, idempotency_key)
  where idempotency_key is not null;
create index api_keys_by_agent on api_keys (organization_id, agent_id, id);
create index api_keys_to_warn on api_keys (warn_at) where warn_at is not null;
-- A key contains its id, which it is looked up by.
create index api_keys_by_id on api_keys (id);

-- Called when a request is inserted for an agent that is paused or stopped.
create function hitl_refuse_agent() returns boolean language plpgsql volatile as $$
begin
  raise exception 'the agent is paused or stopped' using errcode = 'ZA001';
end $$;

alter table agents enable row level security;
alter table agents force row level security;
create policy tenant on agents using (organization_id = hitl_organization())
  with check (organization_id = hitl_organization());

alter table api_keys enable row level security;
alter table api_keys force row level security;
create policy tenant on api_keys using (organization_id::text = current_setting('hitl.organization', true))
  with check (organization_id::text = current_setting('hitl.organization', true));
create policy by_lookup on api_keys for select using (id = hitl_lookup_id());
create policy worker on api_keys for select using (hitl_worker() and warn_at is not null);

-- A call names only its key, so the key makes its agent and its organization visible. The checks are functions because a
-- subquery in a policy is prepared by every statement on the table, also by every create; a function is called only if the
-- tenant's policy does not admit the row.
create function hitl_is_looked_up_agent(organization uuid, agent uuid) returns boolean language sql stable parallel safe
  as $$ select exists (select from api_keys k
    where k.organization_id = organization and k.agent_id = agent and k.id = hitl_lookup_id()) $$;
create function hitl_is_looked_up_organization(organization uuid) returns boolean language sql stable parallel safe
  as $$ select exists (select from api_keys k where k.organization_id = organization and k.id = hitl_lookup_id()) $$;
create policy by_lookup on agents for select
  using (hitl_lookup() is not null and hitl_is_looked_up_agent(organization_id, id));
create policy by_lookup on organizations for select
  using (hitl_lookup() is not null and hitl_is_looked_up_organization(organization_id));
