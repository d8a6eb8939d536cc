import type { Queryable, Statement } from '../../platform/database/db.ts'
import type { Switch } from '../agents/agent.ts'
import { type KeyScope, keyScopes } from '../principal.ts'

/** What is needed to authenticate a call by its key. */
export interface Credential {
  readonly organizationId: string
  readonly agentId: string
  readonly apiKeyId: string
  readonly hash: Buffer
  /** False as well while the organization waits to be deleted: only its owner can enter then. Afterwards no key of it is known. */
  readonly isActive: boolean
  readonly scopes: readonly KeyScope[]
  readonly expiresAt: Date
  readonly allowedNetworks: readonly string[]
  readonly own: Switch
  readonly organization: Switch
  readonly pauseAcknowledgedAt: Date | null
}

interface Row extends Omit<Credential, 'own' | 'organization'> {
  readonly status: Switch['status']
  readonly paused_at: Date | null
  readonly pause_reason: string | null
  readonly agents_status: Switch['status']
  readonly agents_paused_at: Date | null
  readonly agents_pause_reason: string | null
}

const findStatement: Statement = {
  name: 'api_keys_authenticate',
  text: `select k.organization_id as "organizationId", k.agent_id as "agentId", k.id as "apiKeyId", k.key_hash as hash,
      k.is_active and o.delete_after is null as "isActive", k.scopes, k.expires_at as "expiresAt",
      k.allowed_networks::text[] as "allowedNetworks", a.pause_acknowledged_at as "pauseAcknowledgedAt",
      a.status, a.paused_at, a.pause_reason, o.agents_status, o.agents_paused_at, o.agents_pause_reason
    from api_keys k
    cross join lateral (select * from agents a where a.organization_id = k.organization_id and a.id = k.agent_id offset 0) a
    cross join lateral (select * from organizations o where o.organization_id = k.organization_id and o.deleted_at is null offset 0) o
    where k.id = $1`,
}

/**
 * By the id in the key itself, which is the scope too: the organization is not known yet. The hash decides whether the rest
 * of the key is right.
 */
export async function findCredential(db: Queryable, id: string): Promise<Credential | null> {
  const [row] = await db.execute<Row>(findStatement, [id])
  if (row === undefined) return null
  const { status, paused_at, pause_reason, agents_status, agents_paused_at, agents_pause_reason, ...key } = row
  return {
    ...key,
    scopes: keyScopes.filter((scope) => row.scopes.includes(scope)),
    own: { status, since: paused_at, by: null, reason: pause_reason },
    organization: { status: agents_status, since: agents_paused_at, by: null, reason: agents_pause_reason },
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
