import { inTransaction } from '../platform/database/db.ts'
import { newId } from '../platform/ids.ts'
import { owing } from './callback-progress.ts'
import type { Context } from './context.ts'
import { actWhenDue } from './due.ts'
import { factsOf, requestChange } from './facts.ts'
import type { Key } from './row-keys.ts'
import * as store from './store.ts'

/**
 * Times out or releases at most `limit` due requests and returns how many it found. Any number of processes may sweep at once: each
 * organization has a transaction, which skips rows that another transaction has locked.
 */
export function expireDue(context: Context, limit: number): Promise<number> {
  return context.openWrites.during(() => expireNow(context, limit))
}

async function expireNow(context: Context, limit: number): Promise<number> {
  const due = await store.findDue(context.workerDb.within({ worker: true }), context.clock.now(), limit)
  let expired = 0
  for (const [organizationId, keys] of Map.groupBy(due, (key) => key.organizationId)) {
    expired += await expireTogether(context, organizationId, keys)
  }
  return expired
}

function expireTogether(
  { workerDb, clock, events }: Context,
  organizationId: string,
  keys: readonly Key[],
): Promise<number> {
  return inTransaction(workerDb, { organizationId }, async (tx) => {
    const { found, left } = await store.lockFree(tx, keys)
    // Not before the transaction begins: see open-writes.ts.
    const now = clock.now()
    const changes = found.flatMap((before) => actWhenDue(before, now) ?? []).map((change) => owing(change, newId))
    if (changes.length > 0) {
      const appending = events.append(tx, factsOf(changes, now), changes.map(requestChange))
      tx.last(Promise.all([store.save(tx, changes), appending]))
    }
    // What is left counts, so that the next round follows at once.
    return changes.length + left.length
  })
}
