import { inTransaction } from '../platform/database/db.ts'
import { newId } from '../platform/ids.ts'
import { saveWithFiles } from './answer-files.ts'
import { owing } from './callback-progress.ts'
import type { Context } from './context.ts'
import { actWhenDue } from './due.ts'
import { factsOf, requestChange } from './facts.ts'
import type { Key } from './row-keys.ts'
import * as store from './store.ts'

/** Whole requests are read, of up to a megabyte each. */
const togetherMost = 64

/**
 * Times out or releases at most `limit` due requests and returns how many it found. Any number of processes may sweep at once: each
 * transaction, of one organization, skips rows that another one has locked. Two of them go on at once: PostgreSQL performs one
 * while this process decides on the other.
 */
export function expireDue(context: Context, limit: number): Promise<number> {
  return context.openWrites.during(() => expireNow(context, limit))
}

async function expireNow(context: Context, limit: number): Promise<number> {
  const due = await store.findDue(context.workerDb.within({ worker: true }), context.clock.now(), limit)
  const batches = [...Map.groupBy(due, (key) => key.organizationId)].flatMap(([organizationId, keys]) =>
    chunksOf(keys).map((chunk) => () => expireTogether(context, organizationId, chunk)),
  )
  let expired = 0
  const expireNext = async (): Promise<void> => {
    for (let batch = batches.shift(); batch !== undefined; batch = batches.shift()) {
      const found = await batch()
      expired += found
    }
  }
  // Both have ended when this returns, for its changes are under way until then.
  const lanes = await Promise.allSettled([expireNext(), expireNext()])
  for (const lane of lanes) if (lane.status === 'rejected') throw lane.reason
  return expired
}

function chunksOf(keys: readonly Key[]): readonly (readonly Key[])[] {
  return Array.from({ length: Math.ceil(keys.length / togetherMost) }, (_, index) =>
    keys.slice(index * togetherMost, (index + 1) * togetherMost),
  )
}

function expireTogether(
  { workerDb, clock, events, answerFiles }: Context,
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
      tx.last(Promise.all([saveWithFiles(answerFiles, tx, changes), appending]))
    }
    // What is left counts, so that the next round follows at once.
    return changes.length + left.length
  })
}
