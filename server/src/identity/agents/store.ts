import type { Selectable } from 'kysely'
import { plannedFor, type Queryable, type Statement } from '../../platform/database/db.ts'
import { first } from '../../platform/database/first.ts'
import type { Schema } from '../../platform/database/schema.gen.ts'
import type { Earlier, Idempotency } from '../../platform/idempotency.ts'
import { fieldsOf, names } from '../../platform/names.ts'
import type { Hold } from '../principal.ts'
import type { RegisteredAgent, Status } from './agent.ts'

const agentColumns = names(
  'organization_id, id, name, description, owner_id, organization_status, pause_acknowledged_at, created_at, updated_at',
)
const switchColumns = names('status, paused_at, paused_by, pause_reason')

type Row = Selectable<Pick<Schema['agents'], (typeof agentColumns | typeof switchColumns)[number]>> & {
  readonly last_used_at: Date | null
}

function toAgent(row: Row): RegisteredAgent {
  return {
    ...fieldsOf(row, agentColumns),
    own: { status: row.status, since: row.paused_at, by: row.paused_by, reason: row.pause_reason },
    lastUsedAt: row.last_used_at,
  }
}

const selected = `${[...agentColumns, ...switchColumns].map((name) => `a.${name}`).join(', ')},
  (select max(k.last_used_at) from api_keys k where k.organization_id = a.organization_id and k.agent_id = a.id)
    as last_used_at`

// The organization's switch is read under a lock, so that an agent which is made while it is turned does not miss it.
const insertStatement: Statement = {
  name: 'agents_insert',
  text: `insert into agents (organization_id, id, name, description, owner_id, organization_status, created_by,
      idempotency_key, idempotency_hash, created_at, updated_at)
    select o.organization_id, $2, $3, $4, $5, o.agents_status, $6, $7, $8, $9, $9
    from (select * from organizations where organization_id = $1 for share) o
    on conflict (organization_id, created_by, idempotency_key) where idempotency_key is not null do nothing
    returning organization_status`,
}

/** The agent as inserted; null when the creator has already used this Idempotency-Key. */
export async function insertAgent(
  tx: Queryable,
  agent: RegisteredAgent,
  createdBy: string,
  idempotency: Idempotency | null,
): Promise<RegisteredAgent | null> {
  const { organizationId, id, name, description, ownerId, createdAt } = agent
  const by = [createdBy, idempotency?.key ?? null, idempotency?.hash ?? null]
  const values = [organizationId, id, name, description, ownerId, ...by, createdAt]
  const [row] = await tx.execute<{ organization_status: Status }>(insertStatement, values)
  return row === undefined ? null : { ...agent, organizationStatus: row.organization_status }
}

// These are planned each time: in a plan that is kept from an empty installation, the index of another statement may stand for
// that of an agent's keys, and then every key of the organization is read for the time of the last use.
const byIdempotencyKey = `select ${selected}, a.idempotency_hash from agents a
    where a.organization_id = $1 and a.created_by = $2 and a.idempotency_key = $3`
const byId = `select ${selected} from agents a where a.organization_id = $1 and a.id = $2`
const locked = `${byId} for no key update of a`

export async function agentByIdempotencyKey(
  db: Queryable,
  organizationId: string,
  createdBy: string,
  key: string,
): Promise<Earlier<RegisteredAgent> | null> {
  const values = [organizationId, createdBy, key]
  const [row] = await db.run<Row & { idempotency_hash: Buffer | null }>(plannedFor(values, byIdempotencyKey))
  return row === undefined ? null : { made: toAgent(row), hash: row.idempotency_hash }
}

/** `lock`: no other act on the agent until the transaction ends. Creates go on: they take the key share only. */
export async function agentById(
  db: Queryable,
  organizationId: string,
  id: string,
  lock = false,
): Promise<RegisteredAgent | null> {
  return first(db.run<Row>(plannedFor([organizationId, id], lock ? locked : byId)), toAgent)
}

const page = `select ${selected} from agents a
    where a.organization_id = $1 and ($2::uuid is null or a.id < $2)
      and ($3::text is null or a.status = $3)
    order by a.id desc limit $4`

export interface AgentFilter {
  /** Only ids below this one: the cursor. */
  readonly before: string | null
  readonly status: Status | null
}

/** Newest first. */
export async function agents(
  db: Queryable,
  organizationId: string,
  { before, status }: AgentFilter,
  limit: number,
): Promise<readonly RegisteredAgent[]> {
  return (await db.run<Row>(plannedFor([organizationId, before, status, limit], page))).map(toAgent)
}

const saveStatement: Statement = {
  name: 'agents_save',
  text: `update agents set name = $3, description = $4, owner_id = $5, updated_at = $6
    where organization_id = $1 and id = $2`,
}

export async function saveAgent(tx: Queryable, agent: RegisteredAgent): Promise<void> {
  const { organizationId, id, name, description, ownerId, updatedAt } = agent
  await tx.execute(saveStatement, [organizationId, id, name, description, ownerId, updatedAt])
}

// A new pause needs a new acknowledgement.
const turnStatement: Statement = {
  name: 'agents_turn',
  text: `update agents set status = $3, paused_at = $4, paused_by = $5, pause_reason = $6, updated_at = $7,
      pause_acknowledged_at = null
    where organization_id = $1 and id = $2`,
}

export async function saveSwitch(tx: Queryable, agent: RegisteredAgent): Promise<void> {
  const { organizationId, id, own, updatedAt } = agent
  await tx.execute(turnStatement, [organizationId, id, own.status, own.since, own.by, own.reason, updatedAt])
}

const copyStatement: Statement = {
  name: 'agents_copy_organization_switch',
  text: 'update agents set organization_status = $2, pause_acknowledged_at = null where organization_id = $1',
}

/** The organization's switch, repeated in each of its agents. */
export async function copyOrganizationSwitch(tx: Queryable, organizationId: string, status: Status): Promise<void> {
  await tx.execute(copyStatement, [organizationId, status])
}

const acknowledgeStatement: Statement = {
  name: 'agents_acknowledge_pause',
  text: `update agents a set pause_acknowledged_at = $3
    where a.organization_id = $1 and a.id = $2 and a.pause_acknowledged_at is null
      and case when $4 = 'agent' then a.status = $5 and a.paused_at = $6
        else exists (select from organizations o
          where o.organization_id = $1 and o.agents_status = $5 and o.agents_paused_at = $6) end
    returning a.id`,
}

/** False when it was noted before, or this pause is over. */
export async function acknowledgePause(
  tx: Queryable,
  organizationId: string,
  id: string,
  { on, status, since }: Hold,
  at: Date,
): Promise<boolean> {
  return (await tx.execute(acknowledgeStatement, [organizationId, id, at, on, status, since])).length === 1
}
