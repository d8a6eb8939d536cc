import type { Tx } from '../platform/database/db.ts'
import type { Event } from './event.ts'
import * as store from './store.ts'

/** Reacts to events inside the transaction that appends them: what it writes is born in the same commit. */
export type InTransactionReader = (tx: Tx, events: readonly Event[]) => Promise<void>

export interface Events {
  append(tx: Tx, events: readonly Event[]): Promise<void>
}

/** The event log with its in-transaction readers, which `app.ts` names. */
export function createEvents(readers: readonly InTransactionReader[]): Events {
  return {
    append: async (tx, events) => {
      if (events.length === 0) return
      // Issued together: one round trip, answered in order.
      await Promise.all([store.insert(tx, events), ...readers.map((read) => read(tx, events))])
    },
  }
}
