import { randomUUID } from 'node:crypto'
import type { InTransactionReader } from '../events/service.ts'
import type { Clock } from '../platform/clock.ts'
import type { Db } from '../platform/database/db.ts'
import { newId } from '../platform/ids.ts'
import { type CallbackChange, type CallbackOrder, isRedelivery, orderOf } from './order.ts'
import * as store from './store.ts'
import { type DeliveryWorker, leaseMs } from './worker.ts'

export interface CallbackDependencies {
  readonly db: Db
  readonly clock: Clock
  /** The waits between attempts, in seconds, where a request names none. */
  readonly retrySeconds: readonly number[]
  /** This process's own worker; null where another process delivers. */
  readonly worker: DeliveryWorker | null
}

export interface Callbacks {
  /** Puts the callbacks that changes owe into the outbox, in the changes' own commit. */
  readonly enqueue: InTransactionReader<CallbackChange>
  deliveries(organizationId: string, consultationId: string): Promise<readonly store.Delivery[]>
}

export function createCallbacks({ db, clock, retrySeconds, worker }: CallbackDependencies): Callbacks {
  /**
   * A callback is born already leased to this process's worker when that has a free slot: the first attempt starts with
   * the commit, without a claim. If the process dies in between, the lease ends and another worker takes over.
   */
  const toCallback = (order: CallbackOrder): store.NewCallback => {
    const target = new URL(order.url).origin
    const now = clock.now()
    const reserved = worker?.reserve({ organizationId: order.organizationId, target }) ?? false
    return {
      ...order,
      id: newId(),
      target,
      retrySeconds: order.retrySeconds ?? retrySeconds,
      dueAt: reserved ? new Date(now.getTime() + leaseMs) : now,
      leaseToken: reserved ? randomUUID() : null,
      createdAt: now,
    }
  }

  return {
    enqueue: async (tx, _events, changes) => {
      const callbacks = changes.flatMap((change) => orderOf(change) ?? []).map(toCallback)
      const rearmed = changes.filter(isRedelivery)
      const work: Promise<void>[] = []
      if (callbacks.length > 0) {
        tx.onCommit(() => {
          sendReserved(callbacks, worker)
          if (callbacks.some((callback) => callback.leaseToken === null)) worker?.wake()
        })
        tx.onRollback(() => unreserve(callbacks, worker))
        work.push(store.enqueue(tx, callbacks))
      }
      if (rearmed.length > 0) {
        const consultations = rearmed.map(({ after: { organizationId, id } }) => ({ organizationId, id }))
        tx.onCommit(() => worker?.wake())
        work.push(store.rearm(tx, consultations, clock.now()))
      }
      if (work.length > 0 && worker === null) work.push(store.hint(tx))
      await Promise.all(work)
    },
    deliveries: (organizationId, consultationId) =>
      store.deliveries(db.within({ organizationId }), organizationId, consultationId),
  }
}

function sendReserved(callbacks: readonly store.NewCallback[], worker: DeliveryWorker | null): void {
  for (const { leaseToken, ...callback } of callbacks) {
    if (leaseToken !== null) worker?.send({ ...callback, attempts: 0, tries: 0, leaseToken })
  }
}

function unreserve(callbacks: readonly store.NewCallback[], worker: DeliveryWorker | null): void {
  for (const callback of callbacks) {
    if (callback.leaseToken !== null) worker?.unreserve(callback)
  }
}
