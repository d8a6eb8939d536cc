import type { SettledAttempt } from '../deliveries/delivery.ts'
import type { Tx } from '../platform/database/db.ts'
import { besideAttempted, callbackAttempted } from './callback-progress.ts'
import type { Context } from './context.ts'
import { factsOf } from './facts.ts'
import { byKey, distinct, type Key, keyOf } from './row-keys.ts'
import * as store from './store.ts'

/**
 * For the transaction that records deliveries, whose rows hold how callbacks fare: reads the requests as they are before, and
 * returns the time of the changes and the function that records what follows from them, events and totals. Requests are
 * not locked: only the process that leased a callback changes its progress, and completing a request hides its callback,
 * which the settled row shows.
 */
export function recordCallbacks({ clock, events, openWrites }: Context, tx: Tx, keys: readonly Key[]) {
  const end = openWrites.begin()
  tx.onCommit(end)
  tx.onRollback(end)
  const reading = store.readCalledBack(tx, distinct(keys))
  // Awaited below, unless the transaction fails before.
  reading.catch(() => {})
  const now = clock.now()
  const record = async (attempts: readonly SettledAttempt[]): Promise<void> => {
    const requests = byKey(await reading)
    const changes = attempts.flatMap((attempt) => {
      const found = requests.get(keyOf(attempt))
      if (found === undefined) return []
      if (attempt.delivery.id !== found.callbackId) return besideAttempted(found, attempt)
      const before: typeof found = attempt.isShown ? found : { ...found, state: 'completed' }
      return callbackAttempted(before, attempt.outcome, attempt.changedAt)
    })
    if (changes.length === 0) return
    for (const { after } of changes) openWrites.changedAt(after.updatedAt)
    tx.last(Promise.all([store.moveTotals(tx, changes), events.append(tx, factsOf(changes, now))]))
  }
  return { now, record }
}
