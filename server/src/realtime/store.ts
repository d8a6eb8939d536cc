import type { Queryable, Statement } from '../platform/database/db.ts'

const closedStatement: Statement = {
  name: 'realtime_closed',
  text: 'select id from hitl_closed_requests($1) as closed(id)',
}

/** Those of these requests that are not pending, in one statement for all organizations (see the function's migration). */
export async function closed(
  db: Queryable,
  awaited: ReadonlyMap<string, readonly string[]>,
): Promise<readonly string[]> {
  const asked = [...awaited].map(([organization_id, ids]) => ({ organization_id, ids }))
  return (await db.execute<{ id: string }>(closedStatement, [JSON.stringify(asked)])).map(({ id }) => id)
}

/** The channel on which processes tell one another which requests changed. */
export const changeNotification = 'hitl_requests'

const notifyStatement: Statement = {
  name: 'realtime_notify',
  text: 'select pg_notify($1, payload) from unnest($2::text[]) as hint(payload)',
}

/** PostgreSQL takes 8 000 bytes; an id has 36. */
const idsPerPayload = 200

export async function notify(db: Queryable, requestIds: readonly string[]): Promise<void> {
  const payloads: string[] = []
  for (let at = 0; at < requestIds.length; at += idsPerPayload)
    payloads.push(requestIds.slice(at, at + idsPerPayload).join(' '))
  await db.execute(notifyStatement, [changeNotification, payloads])
}
