import { hash } from 'node:crypto'
import type { Channel } from '../deliveries/channel.ts'
import type { Delivery } from '../deliveries/delivery.ts'
import { traceIdOf } from '../http/trace-context.ts'
import type { Transport } from '../outbound/transport.ts'
import type { Logger } from '../platform/log.ts'
import {
  bodyGone,
  type CallbackResult,
  changedInOutbox,
  isTargetInTrouble,
  nextStep,
  secretUnreadable,
} from './callback.ts'
import { bodyAgain, type CallbackSubject } from './order.ts'
import type { CallbackProofs } from './proof.ts'
import { signatureHeaders } from './signature.ts'

export interface CallbackChannel {
  readonly transport: Transport
  readonly log: Logger
  readonly proofs: CallbackProofs
  /** The secret of a callback, opened. */
  readonly secretOf: (callback: Delivery) => Promise<string> | string | null
  /** The request that a callback is about; null when there is none. */
  readonly requestOf: (callback: Delivery) => Promise<CallbackSubject | null>
  /** Records on the requests how their callbacks went. */
  readonly recordOutcomes: Channel['recordOutcomes']
  /** Begins the attempt's part of a trace: the `traceparent` to send, and what to call at its end. */
  readonly traced: (callback: Delivery) => {
    readonly traceparent: string | null
    readonly end: (statusCode: number | null, errorCode: string | null) => void
  }
  readonly random?: () => number
}

/** Callbacks as a channel of deliveries: an HTTP POST, signed. */
export function createCallbackChannel(callbacks: CallbackChannel): Channel {
  const { transport, recordOutcomes, random = Math.random } = callbacks
  return {
    attempt: async (callback, startedAt) => {
      const result = await post(callbacks, callback, startedAt)
      // Stopped by us, not by the receiver.
      if (result.error?.code === 'stopped') return null
      return {
        statusCode: result.status,
        durationMs: Math.round(result.durationMs),
        reply: result.reply,
        errorCode: result.error?.code ?? null,
        error: result.error?.message ?? null,
        isTargetInTrouble: isTargetInTrouble(result),
        next: nextStep(result, callback.roundAttempts + 1, callback, random()),
      }
    },
    recordOutcomes,
    close: () => transport.close(),
  }
}

async function post(
  { transport, log, proofs, secretOf, requestOf, traced }: CallbackChannel,
  ordered: Delivery,
  startedAt: Date,
): Promise<CallbackResult> {
  const callback = ordered.body === '' ? await withBody(ordered, requestOf) : ordered
  if (callback === null) return bodyGone
  let secret: string | null
  try {
    secret = await secretOf(callback)
  } catch (error) {
    // Logged and counted like any other attempt; a process with the right key may make the next one.
    log.error(
      { err: error, delivery_id: callback.id, trace_id: traceIdOf(callback.traceparent) },
      'a callback secret cannot be read: check SECRET_KEY and KEY_ENCRYPTION_KEYS',
    )
    return secretUnreadable
  }
  if (!proofs.holds(callback)) {
    const { organizationId, id, subjectId } = callback
    log.error(
      {
        organization_id: organizationId,
        consultation_id: subjectId,
        delivery_id: id,
        trace_id: traceIdOf(callback.traceparent),
      },
      'a callback in the outbox was changed outside this service, or SECRET_KEY_PREVIOUS is missing: it is not sent',
    )
    return changedInOutbox
  }
  const { traceparent, end } = traced(callback)
  const headers = {
    'content-type': 'application/json',
    'user-agent': 'hitl-callback/1',
    ...(traceparent === null ? {} : { traceparent }),
    ...signatureHeaders(callback.id, callback.body, secret, startedAt),
  }
  const { organizationId: owner, address: url, body } = callback
  const result = await transport.post({ owner, url, body, headers })
  end(result.status, result.error?.code ?? null)
  return result
}

/** With the body that was dropped once it was delivered, if exactly these bytes can be made again. */
async function withBody(ordered: Delivery, requestOf: CallbackChannel['requestOf']): Promise<Delivery | null> {
  const request = await requestOf(ordered)
  const body = request && bodyAgain(request, ordered.createdAt)
  if (body === null || hash('sha256', body, 'hex') !== ordered.bodySha256?.toString('hex')) return null
  return { ...ordered, body }
}
