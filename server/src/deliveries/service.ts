import { randomUUID } from 'node:crypto'
import type { Clock } from '../platform/clock.ts'
import type { Tx } from '../platform/database/db.ts'
import { leaseMs, type NewDelivery, type Ordered } from './delivery.ts'
import * as store from './store.ts'
import type { DeliveryWorker } from './worker.ts'

/** Puts deliveries into the outbox and makes those of `again` that are settled due once more, in the caller's transaction. */
export async function enqueue(
  { clock, worker }: { readonly clock: Clock; readonly worker: DeliveryWorker | null },
  tx: Tx,
  created: readonly NewDelivery[],
  again: readonly Ordered[],
): Promise<void> {
  if (created.length === 0 && again.length === 0) return
  const now = clock.now()
  const work: Promise<void>[] = []
  if (created.length > 0) {
    const due = created.map((delivery) => firstDue(delivery, worker, now))
    tx.onCommit(() => sendReserved(due, worker))
    tx.onRollback(() => unreserve(due, worker))
    work.push(store.enqueue(tx, due, now))
  }
  if (again.length > 0) {
    work.push(store.rearm(tx, again, now).then((receivers) => tx.onCommit(() => worker?.probe(receivers))))
  }
  if (worker === null) work.push(store.notifyDue(tx))
  await Promise.all(work)
}

/**
 * A new delivery is already leased to this process's worker when the worker has a free slot: the first attempt starts right
 * after the commit, without a claim. If the process dies in between, the lease ends and another worker takes over.
 */
function firstDue(delivery: NewDelivery, worker: DeliveryWorker | null, now: Date): store.Due {
  return worker?.reserve(delivery)
    ? { delivery, dueAt: new Date(now.getTime() + leaseMs), leaseToken: randomUUID() }
    : { delivery, dueAt: now, leaseToken: null }
}

const untried = { attempts: 0, roundAttempts: 0, failedAt: null, bodySha256: null } as const

function sendReserved(due: readonly store.Due[], worker: DeliveryWorker | null): void {
  for (const { delivery, leaseToken } of due) {
    if (leaseToken !== null) worker?.send({ ...delivery, ...untried, leaseToken })
  }
  if (due.some(({ leaseToken }) => leaseToken === null)) worker?.wake()
}

function unreserve(due: readonly store.Due[], worker: DeliveryWorker | null): void {
  for (const { delivery, leaseToken } of due) if (leaseToken !== null) worker?.unreserve(delivery)
}
