import type { Queryable, Statement } from '../../platform/database/db.ts'
import type { Switch } from '../agents/agent.ts'
import { type KeyScope, keyScopes } from '../principal.ts'

/** What is needed to authenticate a call by its key. */
export interface Credential {
  readonly organizationId: string
  readonly agentId: string
  readonly apiKeyId: string
  readonly hash: Buffer
  /** False as well while the organization waits to be deleted: only its owner can enter then. */
  readonly isActive: boolean
  readonly scopes: readonly KeyScope[]
  readonly expiresAt: Date
  readonly allowedNetworks: readonly string[]
  readonly own: Switch
  readonly organization: Switch
  readonly pauseAcknowledgedAt: Date | null
}

interface Row {
  organization_id: string
  agent_id: string
  id: string
  key_hash: Buffer
  is_active: boolean
  scopes: KeyScope[]
  expires_at: Date
  allowed_networks: string[]
  status: Switch['status']
  paused_at: Date | null
  pause_reason: string | null
  pause_acknowledged_at: Date | null
  agents_status: Switch['status']
  agents_paused_at: Date | null
  agents_pause_reason: string | null
}

const findStatement: Statement = {
  name: 'api_keys_authenticate',
  text: `select k.organization_id, k.agent_id, k.id, k.key_hash, k.scopes, k.expires_at,
      k.is_active and o.delete_after is null as is_active,
      k.allowed_networks::text[] as allowed_networks, a.status, a.paused_at, a.pause_reason, a.pause_acknowledged_at,
      o.agents_status, o.agents_paused_at, o.agents_pause_reason
    from api_keys k
    cross join lateral (select * from agents a where a.organization_id = k.organization_id and a.id = k.agent_id offset 0) a
    cross join lateral (select * from organizations o where o.organization_id = k.organization_id offset 0) o
    where k.id = $1`,
}

/**
 * By the id in the key itself, which is the scope too: the organization is not known yet. The hash decides whether the rest
 * of the key is right.
 */
export async function findCredential(db: Queryable, id: string): Promise<Credential | null> {
  const [row] = await db.execute<Row>(findStatement, [id])
  if (row === undefined) return null
  return {
    organizationId: row.organization_id,
    agentId: row.agent_id,
    apiKeyId: row.id,
    hash: row.key_hash,
    isActive: row.is_active,
    scopes: keyScopes.filter((scope) => row.scopes.includes(scope)),
    expiresAt: row.expires_at,
    allowedNetworks: row.allowed_networks,
    own: { status: row.status, since: row.paused_at, by: null, reason: row.pause_reason },
    organization: { status: row.agents_status, since: row.agents_paused_at, by: null, reason: row.agents_pause_reason },
    pauseAcknowledgedAt: row.pause_acknowledged_at,
  }
}

export interface KeyUse {
  readonly apiKeyId: string
  readonly at: Date
  readonly address: string | null
}

const markUsedStatement: Statement = {
  name: 'api_keys_mark_used',
  text: `update api_keys k set last_used_at = used.at, last_used_address = used.address
    from json_to_recordset($2) as used(id uuid, at timestamptz, address inet)
    where k.organization_id = $1 and k.id = any($3) and k.id = used.id and (k.last_used_at is null or k.last_used_at <= used.at)`,
}

/** Not a change of the keys: `updated_at` stays. */
export async function markUsed(db: Queryable, organizationId: string, uses: readonly KeyUse[]): Promise<void> {
  const rows = uses.map(({ apiKeyId: id, at, address }) => ({ id, at, address }))
  await db.execute(markUsedStatement, [organizationId, JSON.stringify(rows), uses.map(({ apiKeyId }) => apiKeyId)])
}
