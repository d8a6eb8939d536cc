import type { NewDelivery, Subject } from '../deliveries/delivery.ts'
import type { DeliveryFilter } from '../deliveries/list-store.ts'
import type { DeliveryModule } from '../deliveries/module.ts'
import type { InTransactionReader } from '../events/service.ts'
import type { Tx } from '../platform/database/db.ts'
import { newId } from '../platform/ids.ts'
import type { Schedule } from './callback.ts'
import { type CallbackChange, isRedelivery, isRevision, type Order, orderBeside, orderOf } from './order.ts'
import type { CallbackProofs } from './proof.ts'

/** The channel of these deliveries. */
export const channelName = 'callback'

export type Callbacks = ReturnType<typeof createCallbacks>

/** `schedule`: the waits between attempts, unless the request sets its own, after which there is no recovery. */
export function createCallbacks(deliveries: DeliveryModule, proofs: CallbackProofs, schedule: Schedule) {
  const deliveryOf = (order: Order): NewDelivery => {
    const { organizationId, id, requestId, event, url: address, secret, body, traceparent } = order
    const { dueAt: createdAt, changedAt, isShown } = order
    const waits = order.retrySeconds === null ? schedule : { retrySeconds: order.retrySeconds, recoverySeconds: [] }
    const to = { address, target: new URL(address).origin, ...waits }
    const sent = { id, event, secret, body, traceparent, bodyBytes: Buffer.byteLength(body), createdAt }
    const callback = { ...subjectOf(organizationId, requestId), ...to, ...sent, changedAt, isShown }
    return { ...callback, proof: proofs.of(callback) }
  }
  /** Puts the callbacks that changes owe into the outbox, in the commit of the changes. */
  const enqueue: InTransactionReader<CallbackChange> = async (tx, _events, changes) => {
    const again = changes.filter(isRedelivery).map(({ after: { organizationId, id, callbackId } }) => {
      if (callbackId === null) throw new Error('a callback without an id cannot be sent again')
      return { ...subjectOf(organizationId, id), id: callbackId }
    })
    const orders = changes.flatMap((change) => [orderOf(change) ?? [], orderBeside(change, newId) ?? []].flat())
    // Statements of a transaction run in order: what is ordered here is not withdrawn.
    await Promise.all([
      ...changes
        .filter(isRevision)
        .map(({ before, after: { organizationId, id } }) =>
          deliveries.withdraw(tx, subjectOf(organizationId, id), before?.callbackId ?? null, reasons.revised),
        ),
      deliveries.enqueue(tx, orders.map(deliveryOf), again),
    ])
  }
  return {
    enqueue,
    /** Empties the callbacks of one request, and the replies to them. */
    erase: async (tx: Tx, organizationId: string, requestId: string): Promise<void> => {
      const subject = subjectOf(organizationId, requestId)
      await deliveries.withdraw(tx, subject, null, reasons.erased)
      await deliveries.erase(tx, subject)
    },
    /** A page of the callbacks of one organization. */
    list: (filter: Omit<DeliveryFilter, 'channel'>) => deliveries.list({ ...filter, channel: channelName }),
    /** Every attempt to deliver the callbacks of one request, newest first. */
    attempts: (organizationId: string, requestId: string) => deliveries.attempts(subjectOf(organizationId, requestId)),
  }
}

/** Why a callback is not sent any more. */
const reasons = {
  revised: 'The agent has revised its request, so this callback is not sent any more.',
  erased: 'The request was erased, so this callback is not sent any more.',
} as const

function subjectOf(organizationId: string, requestId: string): Subject {
  return { organizationId, channel: channelName, subjectId: requestId }
}
