import { type Queryable, type Statement, sql } from '../../../platform/database/db.ts'
import { first } from '../../../platform/database/first.ts'
import type { Schema } from '../../../platform/database/schema.gen.ts'
import { fieldsOf, names, valuesOf } from '../../../platform/names.ts'
import type { Flow } from './flow.ts'

const flowColumns = names('organization_id, id, provider_id, user_id, session_id, return_to, expires_at, created_at')

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

interface WhichFlow {
  readonly organizationId: string
  readonly providerId: string
  readonly state: Buffer
  readonly browser: Buffer
}

/** The flow of this answer and browser, which goes on. */
export async function findFlow(db: Queryable, of: WhichFlow): Promise<Flow | null> {
  const query = sql
    .selectFrom('sso_flows')
    .select(flowColumns)
    .where('organization_id', '=', of.organizationId)
    .where('provider_id', '=', of.providerId)
    .where('state_hash', '=', of.state)
    .where('browser_hash', '=', of.browser)
  return first(db.run(query), (row) => fieldsOf(row, flowColumns))
}

const take: Statement = {
  name: 'sso_take_flow',
  text: `delete from sso_flows where organization_id = $1 and provider_id = $2 and state_hash = $3 and browser_hash = $4
    returning ${flowColumns.join(', ')}, secrets`,
}

/** Ends the flow. Only the first answer counts, and only from the browser that began it. */
export async function takeFlow(
  tx: Queryable,
  of: WhichFlow,
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
