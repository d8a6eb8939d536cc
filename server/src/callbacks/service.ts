import type { NewDelivery, Subject } from '../deliveries/delivery.ts'
import type { Deliveries } from '../deliveries/service.ts'
import type { InTransactionReader } from '../events/service.ts'
import { newId } from '../platform/ids.ts'
import { type CallbackChange, type CallbackOrder, isRedelivery, orderOf } from './order.ts'

/** The channel of these deliveries. */
export const channelName = 'callback'

export interface CallbackDependencies {
  readonly deliveries: Deliveries
  /** The waits between attempts, in seconds, unless the request sets its own. */
  readonly retrySeconds: readonly number[]
}

export interface Callbacks {
  /** Puts the callbacks that changes owe into the outbox, in the commit of the changes. */
  readonly enqueue: InTransactionReader<CallbackChange>
  /** Every attempt to deliver the callbacks of one request, newest first. */
  attempts(organizationId: string, requestId: string): ReturnType<Deliveries['attempts']>
}

export function createCallbacks({ deliveries, retrySeconds }: CallbackDependencies): Callbacks {
  const toDelivery = (order: CallbackOrder): NewDelivery => ({
    ...subjectOf(order.organizationId, order.requestId),
    id: newId(),
    address: order.url,
    target: new URL(order.url).origin,
    secret: order.secret,
    body: order.body,
    retrySeconds: order.retrySeconds ?? retrySeconds,
  })

  return {
    enqueue: (tx, _events, changes) => {
      const created = changes.flatMap((change) => orderOf(change) ?? []).map(toDelivery)
      const again = changes.filter(isRedelivery).map(({ after }) => subjectOf(after.organizationId, after.id))
      return deliveries.enqueue(tx, created, again)
    },
    attempts: (organizationId, requestId) => deliveries.attempts(subjectOf(organizationId, requestId)),
  }
}

function subjectOf(organizationId: string, requestId: string): Subject {
  return { organizationId, channel: channelName, subjectId: requestId }
}
