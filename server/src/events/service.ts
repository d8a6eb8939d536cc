import type { Fact } from '../facts/fact.ts'
import type { Tx } from '../platform/database/db.ts'
import { newId } from '../platform/ids.ts'
import type { Event } from './event.ts'
import * as store from './store.ts'

/**
 * Reacts to events inside the transaction that appends them, so that what it writes is in the same commit. A `Change` is one
 * act on one subject, with its state before and after; each reader declares the members that it needs.
 */
export type InTransactionReader<Change> = (
  tx: Tx,
  events: readonly Event[],
  changes: readonly Change[],
) => Promise<void>

export interface Events<Change = never> {
  /** Readers get changes only when the whole subject was read; they come with the facts they caused. */
  readonly append: (tx: Tx, facts: readonly Fact[], changes?: readonly Change[]) => Promise<void>
}

/** The event log with its in-transaction readers, given by `app.ts`. */
export function createEvents<Change>(readers: readonly InTransactionReader<Change>[]): Events<Change> {
  return {
    append: async (tx, facts, changes = []) => {
      if (facts.length === 0) return
      const events = facts.map((fact): Event => ({ ...fact, id: newId() }))
      // Issued together: one round trip, with results in order.
      await Promise.all([store.insert(tx, events), ...readers.map((read) => read(tx, events, changes))])
    },
  }
}
