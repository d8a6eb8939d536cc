import type { Queryable } from '../platform/database/db.ts'

const dayMs = 86_400_000

/** Whatever became of them: the events say it. Invitations and links stay a while because recent ones are counted and listed. */
const ended = [
  { table: 'invitations', key: 'organization_id, id', afterMs: 30 * dayMs },
  { table: 'account_links', key: 'id', afterMs: dayMs },
  { table: 'sso_flows', key: 'organization_id, id', afterMs: 0 },
  { table: 'kept_replies', key: 'organization_id, id', afterMs: 0 },
].map(({ table, key, afterMs }) => ({
  afterMs,
  name: `ended_rows_${table}`,
  text: `delete from ${table} where (${key}) in (select ${key} from ${table}
    where expires_at < $1 order by expires_at limit $2) returning 1`,
}))

/** Deletes at most `limit` rows of each table; returns whether there may be more. In the scope of a worker. */
export async function deleteEndedRows(db: Queryable, now: Date, limit = 1_000): Promise<boolean> {
  let more = false
  for (const { afterMs, ...statement } of ended) {
    const before = new Date(now.getTime() - afterMs)
    more = (await db.execute(statement, [before, limit])).length === limit || more
  }
  return more
}
