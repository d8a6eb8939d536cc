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
    readonly decision: string | null
    readonly comment: string | null
    readonly choices: readonly string[] | null
    readonly data: JsonText | null
    readonly args: JsonText | null
    readonly argsPatch: JsonText | null
    readonly attachments: JsonText | null
    readonly responderId: string
    /** Empty: none. Null: it was not kept when this was answered, and no callback named it. */
    readonly responderName: string | null
    readonly respondedAt: Date
  } | null
  readonly certificate: string | null
  readonly callbackUrl: string | null
  /** Sealed. */
  readonly callbackSecret: Buffer | null
  readonly callbackRetrySeconds: readonly number[] | null
  readonly traceparent: string | null
  readonly callbackId: string | null
  readonly callback: { readonly status: string; readonly nextAttemptAt: Date | null }
  /** When what it asks took the place of an earlier revision; null for the first one. */
  readonly revisedAt: Date | null
  readonly updatedAt: Date
}

/** One act on a request. */
export interface CallbackChange {
  readonly before: CallbackSubject | null
  readonly after: CallbackSubject
}

/** Each way out of `pending`, under its name for receivers. */
export const closings: Readonly<Record<string, string>> = {
  responded: 'request.responded',
  timeout: 'request.timeout',
  cancelled: 'request.cancelled',
}

/** The first callback, due when the request closes; null when none is owed. */
export function orderOf({ before, after }: CallbackChange) {
  const event = closings[after.state]
  const { organizationId, id: requestId, callbackId: id, callbackUrl: url, callbackSecret: secret, callback } = after
  const { status, nextAttemptAt: dueAt } = callback
  const isOwed = before?.callback.status === 'none' && status === 'pending'
  if (!isOwed || id === null || event === undefined || url === null || dueAt === null) return null
  const body = callbackBody(after, event, after.state, dueAt)
  const { callbackRetrySeconds: retrySeconds, updatedAt: changedAt, traceparent } = after
  return { organizationId, id, requestId, event, url, secret, body, dueAt, changedAt, retrySeconds, traceparent }
}

/** The body that was ordered when the request closed, made again; null while it is open. */
export function bodyAgain(request: CallbackSubject, dueAt: Date): string | null {
  // A decision that is held back is none yet.
  const state = request.response === null || request.state === 'pending' ? request.state : 'responded'
  const event = closings[state]
  return event === undefined ? null : callbackBody(request, event, state, dueAt)
}

/**
 * What the stream of a request tells, in order: that it was revised, and the callbacks that it has, or would have if it had an
 * address for them. Only of the current revision: what was said of an earlier one does not count any more.
 */
export function eventsOf(request: CallbackSubject) {
  const { revision, revisedAt } = request
  // Each happens once in each revision, so every process makes the same id from the row.
  const event = (name: string, data: string) => ({ id: `${revision}-${name}`, name, data })
  const asked = { ...request, response: null, certificate: null }
  const revised =
    revisedAt === null ? [] : [event(revisedEvent, callbackBody(asked, revisedEvent, 'pending', revisedAt))]
  const data = bodyAgain(request, request.response?.respondedAt ?? request.updatedAt)
  if (data === null) return revised
  return [...revised, event(closings[request.response === null ? request.state : 'responded'] ?? '', data)]
}

const revisedEvent = 'request.revised'

/** Whether the change asks for the last callback once more. */
export function isRedelivery({ before, after }: CallbackChange): boolean {
  return (
    after.callback.status === 'pending' && (before?.callback.status === 'sent' || before?.callback.status === 'failed')
  )
}

/** What is JSON already is spliced in as it was written. The callback is due from the time of the act. */
function callbackBody(request: CallbackSubject, event: string, state: string, dueAt: Date): string {
  return (
    `{"event":"${event}","request_id":"${request.id}","metadata":${request.metadata ?? 'null'},` +
    `"response":${answerText(request)},"timestamp":${JSON.stringify(dueAt)},"state":"${state}",` +
    `"revision":${request.revision},"digest":"${request.digest}","certificate":${JSON.stringify(request.certificate)}}`
  )
}

function answerText({ response, revision }: CallbackSubject): string {
  if (response === null) return 'null'
  const { decision, comment, choices, data, args, argsPatch, attachments, responderId, responderName, respondedAt } =
    response
  const name = JSON.stringify(responderName || null)
  const responder = responderName === null ? '' : `"responder":{"id":"${responderId}","name":${name}},`
  const who = `"responder_id":"${responderId}",${responder}"responded_at":${JSON.stringify(respondedAt)}`
  const said = `"decision":${JSON.stringify(decision)},"comment":${JSON.stringify(comment)}`
  return (
    `{${said},"choices":${JSON.stringify(choices)},"data":${data},"args":${args},"args_patch":${argsPatch},` +
    `"attachments":${attachments},${who},"revision":${revision}}`
  )
}
