import { type Queryable, type Statement, sql } from '../../../platform/database/db.ts'
import type { Schema } from '../../../platform/database/schema.gen.ts'
import { fieldsOf, names, valuesOf } from '../../../platform/names.ts'
import type { Flow } from './flow.ts'

const flowColumns = names('organization_id, id, provider_id, user_id, return_to, expires_at, created_at')

export async function insertFlow(
  tx: Queryable,
  flow: Flow,
  hashes: { readonly state: Buffer; readonly browser: Buffer },
  sealedSecrets: Buffer,
): Promise<void> {
  await tx.run(
    sql.insertInto('sso_flows').values({
      ...valuesOf(flow, flowColumns),
      state_hash: hashes.state,
      browser_hash: hashes.browser,
      secrets: sealedSecrets,
    }),
  )
}

const take: Statement = {
  name: 'sso_take_flow',
  text: `delete from sso_flows where organization_id = $1 and provider_id = $2 and state_hash = $3 and browser_hash = $4
    returning ${flowColumns.join(', ')}, secrets`,
}

/** Ends the flow. Only the first answer counts, and only from the browser that began it. */
export async function takeFlow(
  tx: Queryable,
  of: {
    readonly organizationId: string
    readonly providerId: string
    readonly state: Buffer
    readonly browser: Buffer
  },
): Promise<{ readonly flow: Flow; readonly sealedSecrets: Buffer } | null> {
  const values = [of.organizationId, of.providerId, of.state, of.browser]
  const [row] = await tx.execute<Schema['sso_flows']>(take, values)
  return row === undefined ? null : { flow: fieldsOf(row, flowColumns), sealedSecrets: row.secrets }
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
