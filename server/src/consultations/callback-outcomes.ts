import type { SettledAttempt } from '../deliveries/delivery.ts'
import type { Tx } from '../platform/database/db.ts'
import { callbackAttempted } from './consultation.ts'
import type { Context } from './context.ts'
import { factsOf } from './facts.ts'
import { byKey, distinct, type Key, keyOf } from './row-keys.ts'
import * as store from './store.ts'

/**
 * For the transaction that records deliveries: locks the requests, as every act does before it touches anything else, and
 * returns the function that records how their callbacks went.
 */
export function lockForCallbacks({ clock, events, openWrites }: Context, tx: Tx, keys: readonly Key[]) {
  const end = openWrites.begin()
  tx.onCommit(end)
  tx.onRollback(end)
  const locking = store.lockCore(tx, distinct(keys))
  // Awaited below, unless the transaction fails before.
  locking.catch(() => {})
  return async (attempts: readonly SettledAttempt[]): Promise<void> => {
    const outcomes = byKey(attempts)
    const changes = (await locking).flatMap((before) => {
      const outcome = outcomes.get(keyOf(before))?.outcome
      return outcome === undefined ? [] : [callbackAttempted(before, outcome, clock.now())]
    })
    if (changes.length === 0) return
    for (const { after } of changes) openWrites.changedAt(after.updatedAt)
    tx.last(Promise.all([store.save(tx, changes), events.append(tx, factsOf(changes, clock.now()))]))
  }
}
