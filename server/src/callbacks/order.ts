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
  /** Null: only what reports how it was closed. */
  readonly callbackEvents: readonly string[] | null
  readonly traceparent: string | null
  readonly callbackId: string | null
  readonly callback: { readonly status: string; readonly nextAttemptAt: Date | null }
  readonly outcome: {
    readonly status: string
    readonly detail: string | null
    readonly data: JsonText | null
    readonly reportedAt: Date
  } | null
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

/** What only those receivers get whose request names it. */
export const besides = { revised: 'request.revised', completed: 'request.completed' } as const

export interface Order {
  readonly organizationId: string
  readonly id: string
  readonly requestId: string
  readonly event: string
  readonly url: string
  /** Sealed. */
  readonly secret: Buffer | null
  readonly body: string
  readonly dueAt: Date
  readonly changedAt: Date
  readonly isShown: boolean
  readonly retrySeconds: readonly number[] | null
  readonly traceparent: string | null
}

/** The first callback, due when the request closes; null when none is owed. */
export function orderOf({ before, after }: CallbackChange): Order | null {
  const event = closings[after.state]
  const { callbackId: id, callback } = after
  const { status, nextAttemptAt: dueAt } = callback
  const isOwed = before?.callback.status === 'none' && status === 'pending'
  if (!isOwed || id === null || event === undefined || dueAt === null) return null
  return ordered(after, { id, event, body: callbackBody(after, event, after.state, dueAt), dueAt, isShown: true })
}

/** Whether what callbacks said of the request before does not count any more. */
export function isRevision({ before, after }: CallbackChange): boolean {
  return before !== null && after.revision > before.revision
}

/** A callback that the request names by its event and that says nothing of how it was closed; null when none is owed. */
export function orderBeside(change: CallbackChange, newId: () => string): Order | null {
  const { before, after } = change
  const { callbackEvents, revisedAt, outcome } = after
  const wants = (event: string): boolean => callbackEvents?.includes(event) === true
  const order = (event: string, body: string, dueAt: Date) =>
    ordered(after, { id: newId(), event, body, dueAt, isShown: false })
  if (isRevision(change) && revisedAt !== null && wants(besides.revised)) {
    return order(besides.revised, revisedBody(after, revisedAt), revisedAt)
  }
  if (outcome !== null && before?.outcome === null && wants(besides.completed)) {
    return order(besides.completed, completedBody(after, outcome), outcome.reportedAt)
  }
  return null
}

function ordered(
  request: CallbackSubject,
  what: Pick<Order, 'id' | 'event' | 'body' | 'dueAt' | 'isShown'>,
): Order | null {
  const { organizationId, id: requestId, callbackUrl: url, callbackSecret: secret } = request
  const { callbackRetrySeconds: retrySeconds, updatedAt: changedAt, traceparent } = request
  return url === null ? null : { ...what, organizationId, requestId, url, secret, changedAt, retrySeconds, traceparent }
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
  const revised = revisedAt === null ? [] : [event(besides.revised, revisedBody(request, revisedAt))]
  const data = bodyAgain(request, request.response?.respondedAt ?? request.updatedAt)
  if (data === null) return revised
  return [...revised, event(closings[request.response === null ? request.state : 'responded'] ?? '', data)]
}

function revisedBody(request: CallbackSubject, revisedAt: Date): string {
  return callbackBody({ ...request, response: null, certificate: null }, besides.revised, 'pending', revisedAt)
}

function completedBody(request: CallbackSubject, outcome: NonNullable<CallbackSubject['outcome']>): string {
  const { status, detail, data, reportedAt } = outcome
  const reported =
    `{"status":"${status}","detail":${JSON.stringify(detail)},"data":${data},` +
    `"reported_at":${JSON.stringify(reportedAt)}}`
  const body = callbackBody(request, besides.completed, 'completed', reportedAt)
  return `${body.slice(0, -1)},"outcome":${reported}}`
}

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
