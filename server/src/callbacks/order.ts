import type { JsonText } from '../platform/json.ts'

/** The fields of a request that callbacks need. */
export interface CallbackSubject {
  readonly organizationId: string
  readonly id: string
  readonly state: string
  readonly revision: number
  readonly metadata: JsonText | null
  readonly digest: string
  readonly response: {
    readonly decision: string
    readonly comment: string | null
    readonly responderId: string
    readonly respondedAt: Date
  } | null
  readonly certificate: string | null
  readonly callbackUrl: string | null
  /** Sealed. */
  readonly callbackSecret: Buffer | null
  readonly callbackRetrySeconds: readonly number[] | null
  readonly callback: { readonly status: string; readonly nextAttemptAt: Date | null }
}

/** One act on a request. */
export interface CallbackChange {
  readonly before: CallbackSubject | null
  readonly after: CallbackSubject
}

/** A callback that a change owes the agent. */
export interface CallbackOrder {
  readonly organizationId: string
  readonly requestId: string
  readonly url: string
  readonly secret: Buffer | null
  /** The exact bytes to send, as text. */
  readonly body: string
  readonly retrySeconds: readonly number[] | null
}

/** Each way out of `pending`, under its name for receivers. */
const closings: Readonly<Record<string, string>> = {
  responded: 'request.responded',
  timeout: 'request.timeout',
  cancelled: 'request.cancelled',
}

/** The first callback, due when the request closes; null when none is owed. */
export function orderOf({ before, after }: CallbackChange): CallbackOrder | null {
  const event = closings[after.state]
  const { callbackUrl: url, callback } = after
  if (before?.callback.status !== 'none' || callback.status !== 'pending' || event === undefined || url === null) {
    return null
  }
  return {
    organizationId: after.organizationId,
    requestId: after.id,
    url,
    secret: after.callbackSecret,
    body: callbackBody(after, event),
    retrySeconds: after.callbackRetrySeconds,
  }
}

/** Whether the change asks for the last callback once more. */
export function isRedelivery({ before, after }: CallbackChange): boolean {
  return (
    after.callback.status === 'pending' && (before?.callback.status === 'sent' || before?.callback.status === 'failed')
  )
}

/** `metadata` is spliced in as the agent wrote it. */
function callbackBody(after: CallbackSubject, event: string): string {
  const { response } = after
  const answer =
    response === null
      ? null
      : {
          decision: response.decision,
          comment: response.comment,
          responder_id: response.responderId,
          responded_at: response.respondedAt,
        }
  // The callback is due from the time of the act.
  const timestamp = after.callback.nextAttemptAt
  return (
    `{"event":"${event}","request_id":"${after.id}","metadata":${after.metadata ?? 'null'},` +
    `"response":${JSON.stringify(answer)},"timestamp":${JSON.stringify(timestamp)},"state":"${after.state}",` +
    `"revision":${after.revision},"digest":"${after.digest}","certificate":${JSON.stringify(after.certificate)}}`
  )
}
