import type { NewDelivery, Subject } from '../deliveries/delivery.ts'
import type { DeliveryFilter } from '../deliveries/list-store.ts'
import type { DeliveryModule } from '../deliveries/module.ts'
import type { InTransactionReader } from '../events/service.ts'
import type { Tx } from '../platform/database/db.ts'
import type { Schedule } from './callback.ts'
import { type CallbackChange, isRedelivery, orderOf } from './order.ts'
import type { CallbackProofs } from './proof.ts'

/** The channel of these deliveries. */
export const channelName = 'callback'

export type Callbacks = ReturnType<typeof createCallbacks>

/** `schedule`: the waits between attempts, unless the request sets its own, after which there is no recovery. */
export function createCallbacks(deliveries: DeliveryModule, proofs: CallbackProofs, schedule: Schedule) {
  const deliveriesOf = (change: CallbackChange): readonly NewDelivery[] => {
    const order = orderOf(change)
    if (order === null) return []
    const { organizationId, id, requestId, event, url: address, secret, body, traceparent } = order
    const { dueAt: createdAt, changedAt } = order
    const waits = order.retrySeconds === null ? schedule : { retrySeconds: order.retrySeconds, recoverySeconds: [] }
    const to = { address, target: new URL(address).origin, ...waits }
    const sent = { id, event, secret, body, traceparent, bodyBytes: Buffer.byteLength(body), createdAt, changedAt }
    const callback = { ...subjectOf(organizationId, requestId), ...to, ...sent }
    return [{ ...callback, proof: proofs.of(callback) }]
  }
  /** Puts the callbacks that changes owe into the outbox, in the commit of the changes. */
  const enqueue: InTransactionReader<CallbackChange> = (tx, _events, changes) => {
    const again = changes.filter(isRedelivery).map(({ after: { organizationId, id, callbackId } }) => {
      if (callbackId === null) throw new Error('a callback without an id cannot be sent again')
      return { ...subjectOf(organizationId, id), id: callbackId }
    })
    return deliveries.enqueue(tx, changes.flatMap(deliveriesOf), again)
  }
  return {
    enqueue,
    /** Empties the callbacks of one request, and the replies to them. */
    erase: (tx: Tx, organizationId: string, requestId: string) =>
      deliveries.erase(tx, subjectOf(organizationId, requestId)),
    /** A page of the callbacks of one organization. */
    list: (filter: Omit<DeliveryFilter, 'channel'>) => deliveries.list({ ...filter, channel: channelName }),
    /** Every attempt to deliver the callbacks of one request, newest first. */
    attempts: (organizationId: string, requestId: string) => deliveries.attempts(subjectOf(organizationId, requestId)),
  }
}

function subjectOf(organizationId: string, requestId: string): Subject {
  return { organizationId, channel: channelName, subjectId: requestId }
}
