import { type Queryable, type Statement, sql } from '../../../platform/database/db.ts'
import type { Schema } from '../../../platform/database/schema.gen.ts'
import type { Flow } from './flow.ts'

export async function insertFlow(
  tx: Queryable,
  flow: Flow,
  hashes: { readonly state: Buffer; readonly browser: Buffer },
  sealedSecrets: Buffer,
): Promise<void> {
  await tx.run(
    sql.insertInto('sso_flows').values({
      organization_id: flow.organizationId,
      id: flow.id,
      provider_id: flow.providerId,
      state_hash: hashes.state,
      browser_hash: hashes.browser,
      secrets: sealedSecrets,
      user_id: flow.userId,
      return_to: flow.returnTo,
      expires_at: flow.expiresAt,
      created_at: flow.createdAt,
    }),
  )
}

const take: Statement = {
  name: 'sso_take_flow',
  text: `delete from sso_flows where organization_id = $1 and provider_id = $2 and state_hash = $3 and browser_hash = $4
    returning organization_id, id, provider_id, user_id, return_to, expires_at, created_at, secrets`,
}

/** Ends the flow: of several answers only one counts, and only from the browser that began it. */
export async function takeFlow(
  tx: Queryable,
  of: {
    readonly organizationId: string
    readonly providerId: string
    readonly state: Buffer
    readonly browser: Buffer
  },
): Promise<{ readonly flow: Flow; readonly sealedSecrets: Buffer } | null> {
  const rows = await tx.execute<Schema['sso_flows']>(take, [of.organizationId, of.providerId, of.state, of.browser])
  const row = rows[0]
  if (row === undefined) return null
  const flow = {
    organizationId: row.organization_id,
    id: row.id,
    providerId: row.provider_id,
    userId: row.user_id,
    returnTo: row.return_to,
    expiresAt: row.expires_at,
    createdAt: row.created_at,
  }
  return { flow, sealedSecrets: row.secrets }
}

const dropFlows: Statement = {
  name: 'sso_drop_expired_flows',
  text: `delete from sso_flows where organization_id = $1 and id = any (array(
    select id from sso_flows where organization_id = $1 and expires_at <= $2 order by expires_at limit 100))`,
}

/** Those nobody came back for. A few at a time: each new one clears away more than it adds. */
export async function dropExpiredFlows(tx: Queryable, organizationId: string, now: Date): Promise<void> {
  await tx.execute(dropFlows, [organizationId, now])
}

const dropLinks: Statement = {
  name: 'sso_drop_link_flows',
  text: `delete from sso_flows where organization_id = $1 and user_id = $2`,
}

/** What the member's sessions began, to link an identity, links none any more. */
export async function dropLinkFlows(tx: Queryable, organizationId: string, userId: string): Promise<void> {
  await tx.execute(dropLinks, [organizationId, userId])
}
