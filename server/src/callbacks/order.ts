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

/** Each way out of `pending`, under its name for receivers. */
const closings: Readonly<Record<string, string>> = {
  responded: 'request.responded',
  timeout: 'request.timeout',
  cancelled: 'request.cancelled',
}

/** The first callback, due when the request closes; null when none is owed. */
export function orderOf({ before, after }: CallbackChange) {
  const event = closings[after.state]
  const { organizationId, id: requestId, callbackUrl: url, callbackSecret: secret, callback } = after
  if (before?.callback.status !== 'none' || callback.status !== 'pending' || event === undefined || url === null) {
    return null
  }
  const body = callbackBody(after, event)
  return { organizationId, requestId, url, secret, body, retrySeconds: after.callbackRetrySeconds }
}

/** Whether the change asks for the last callback once more. */
export function isRedelivery({ before, after }: CallbackChange): boolean {
  return (
    after.callback.status === 'pending' && (before?.callback.status === 'sent' || before?.callback.status === 'failed')
  )
}

/** `metadata` is spliced in as the agent wrote it. */
function callbackBody(after: CallbackSubject, event: string): string {
  const answer = after.response && {
    decision: after.response.decision,
    comment: after.response.comment,
    responder_id: after.response.responderId,
    responded_at: after.response.respondedAt,
  }
  // The callback is due from the time of the act.
  const timestamp = after.callback.nextAttemptAt
  return (
    `{"event":"${event}","request_id":"${after.id}","metadata":${after.metadata ?? 'null'},` +
    `"response":${JSON.stringify(answer)},"timestamp":${JSON.stringify(timestamp)},"state":"${after.state}",` +
    `"revision":${after.revision},"digest":"${after.digest}","certificate":${JSON.stringify(after.certificate)}}`
  )
}
