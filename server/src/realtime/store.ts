import type { Queryable, Statement } from '../platform/database/db.ts'
import type { Awaited } from './hub.ts'

const changedStatement: Statement = {
  name: 'realtime_changed',
  text: 'select id from hitl_closed_requests($1) as changed(id)',
}

/**
 * Those of these requests that are not pending, or have another revision, in one statement for all organizations (see
 * 0027_awaited_revisions.sql).
 */
export async function changed(
  db: Queryable,
  awaited: ReadonlyMap<string, readonly Awaited[]>,
): Promise<readonly string[]> {
  const asked = [...awaited].map(([organization_id, all]) => ({
    organization_id,
    ids: all.map(({ requestId }) => requestId),
    revisions: all.map(({ revision }) => revision),
  }))
  return (await db.execute<{ id: string }>(changedStatement, [JSON.stringify(asked)])).map(({ id }) => id)
}

/** The channel on which processes tell one another which requests changed. */
export const changeNotification = 'hitl_requests'
/** The same, of organizations in which a request changed in any way: for open inboxes. */
export const inboxNotification = 'hitl_inboxes'
/** Who looks at which request. */
export const presenceNotification = 'hitl_presence'

const notifyStatement: Statement = {
  name: 'realtime_notify',
  text: 'select pg_notify(channel, payload) from unnest($1::text[], $2::text[]) as hint(channel, payload)',
}

/** PostgreSQL takes 8 000 bytes; an id has 36. */
const idsPerPayload = 200

/** `told`: ids by channel. */
export async function notify(
  db: Queryable,
  told: readonly (readonly [channel: string, ids: readonly string[]])[],
): Promise<void> {
  const [channels, payloads]: [string[], string[]] = [[], []]
  for (const [channel, ids] of told) {
    for (let at = 0; at < ids.length; at += idsPerPayload) {
      channels.push(channel)
      payloads.push(ids.slice(at, at + idsPerPayload).join(' '))
    }
  }
  await db.execute(notifyStatement, [channels, payloads])
}

/** `payloads`: each at most 8 000 bytes. */
export async function notifyPresence(db: Queryable, payloads: readonly string[]): Promise<void> {
  await db.execute(notifyStatement, [payloads.map(() => presenceNotification), payloads])
}
