import { randomUUID } from 'node:crypto'
import type { CallbackOrder, Event } from '../events/event.ts'
import type { InTransactionReader } from '../events/service.ts'
import type { Clock } from '../platform/clock.ts'
import type { Db } from '../platform/database/db.ts'
import { newId } from '../platform/ids.ts'
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
  /** Puts the callbacks that events owe into the outbox, in the events' own commit. */
  readonly enqueue: InTransactionReader
  deliveries(organizationId: string, consultationId: string): Promise<readonly store.Delivery[]>
}

export function createCallbacks({ db, clock, retrySeconds, worker }: CallbackDependencies): Callbacks {
  /**
   * A callback is born already leased to this process's worker when that has a free slot: the first attempt starts with
   * the commit, without a claim. If the process dies in between, the lease ends and another worker takes over.
   */
  const toCallback = (event: Event, order: CallbackOrder): store.NewCallback => {
    const target = new URL(order.url).origin
    const now = clock.now()
    const reserved = worker?.reserve({ organizationId: event.organizationId, target }) ?? false
    return {
      organizationId: event.organizationId,
      id: newId(),
      consultationId: event.subjectId,
      event: order.event,
      url: order.url,
      target,
      secret: order.secret,
      body: order.body,
      retrySeconds: order.retrySeconds ?? retrySeconds,
      dueAt: reserved ? new Date(now.getTime() + leaseMs) : now,
      leaseToken: reserved ? randomUUID() : null,
      createdAt: now,
    }
  }

  return {
    enqueue: async (tx, events) => {
      const callbacks = events.flatMap((event) =>
        event.callback === undefined ? [] : [toCallback(event, event.callback)],
      )
      const rearmed = events.filter((event) => event.redeliver === true)
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
        const consultations = rearmed.map(({ organizationId, subjectId: id }) => ({ organizationId, id }))
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
