import { tagOf } from '../http/conditional.ts'
import type { Principal } from '../identity/principal.ts'
import type { JsonText } from '../platform/json.ts'
import { allowedActions } from './allowed-actions.ts'
import type { Consultation, Response } from './consultation.ts'
import { asAgentSees, asPeopleSee } from './hold.ts'
import { encodeListCursor } from './list-query.ts'
import type { Page } from './list-store.ts'
import { highlightsOf } from './search/highlights.ts'
import { lightBytes } from './store.ts'

/** A consultation as the wire shows it to one caller, as JSON text. */
export function requestJson(consultation: Consultation, caller: Principal, now: Date): string {
  return write(shownTo(caller, consultation), callersPart(consultation, caller, now))
}

/** The same without what may be large. */
export function outlineOf(consultation: Consultation): Consultation {
  const { response } = consultation
  const without = { context: '{}' as JsonText, metadata: null, action: null, answerAsked: null, presentation: null }
  return { ...consultation, ...without, response: response && { ...response, data: null, args: null, argsPatch: null } }
}

const isLarge = (...texts: readonly (JsonText | null)[]): boolean =>
  texts.reduce((sum, one) => sum + (one === null ? 0 : Buffer.byteLength(one)), 0) > lightBytes

/** As a list has it: `{}`, or null, stands for what is large. */
export function lightened(consultation: Consultation): Consultation {
  const { context, metadata, action, answerAsked, presentation, response } = consultation
  return {
    ...consultation,
    ...(isLarge(context) ? { context: nothing, contextTruncated: true } : {}),
    ...(isLarge(metadata) ? { metadata: nothing, metadataTruncated: true } : {}),
    ...(action !== null && isLarge(action)
      ? {
          action: JSON.stringify({ name: (JSON.parse(action) as { name: string }).name, args: {} }) as JsonText,
          actionTruncated: true,
        }
      : {}),
    ...(isLarge(answerAsked) ? { answerAsked: null, answerAskedTruncated: true } : {}),
    ...(isLarge(presentation) ? { presentation: null, presentationTruncated: true } : {}),
    ...(response !== null && isLarge(response.data, response.args, response.argsPatch)
      ? { response: { ...response, data: null, args: null, argsPatch: null }, responseTruncated: true }
      : {}),
  }
}

/** What people decided on, beside title and description: `context` alone where nothing else was asked. */
export function askedText({ context, action, answerAsked, justification, presentation }: Consultation): JsonText {
  if (action === null && answerAsked === null && justification === null && presentation === null) return context
  return (`{"context":${context},"action":${action},"answer":${answerAsked},"justification":${text(justification)},` +
    `"presentation":${presentation}}`) as JsonText
}

/** What the answer says beside decision and comment; null where it says nothing more. */
export function valuesText({ response }: Consultation): JsonText | null {
  if (response === null) return null
  const { choices, data, args, argsPatch } = response
  if (choices === null && data === null && args === null) return null
  return `{"choices":${list(choices)},"data":${data},"args":${args},"args_patch":${argsPatch}}` as JsonText
}

/**
 * The entity tag of `requestJson`, made from that text without what the agent wrote: this stays the same, but for the changes that
 * revision, digest and erased_at tell. So a new member of the wire changes the tag without being named here, and nothing large is
 * hashed.
 */
export function requestTag(consultation: Consultation, caller: Principal, now: Date): string {
  return tagOf(outline(shownTo(caller, consultation), callersPart(consultation, caller, now)))
}

function outline(consultation: Consultation, actions: string): string {
  const { response } = consultation
  const said = response === null ? null : { ...response, ...unsaid }
  const small = { ...consultation, title: '', description: null, context: nothing, metadata: null, ...unasked }
  // Values change only by erasing them, which the row of the answer says.
  return `${response?.erasedAt?.getTime()} ${write({ ...small, response: said }, actions)}`
}

const nothing = '{}' as JsonText
const unasked = { action: null, answerAsked: null, justification: null, presentation: null }
const unsaid = { data: null, args: null, argsPatch: null }

interface WrittenPage {
  readonly actions: readonly string[]
  tag?: string
  text?: string
}

/** The texts of a page, by the part that depends on the caller: callers with equal parts share one. */
const written = new WeakMap<Page, Map<string, WrittenPage>>()

function writtenPage(page: Page, caller: Principal, now: Date, list: string): WrittenPage {
  const actions = page.items.map((item) => callersPart(item, caller, now))
  const name = `${list} ${caller.kind} ${actions.join()}`
  const all = written.get(page) ?? new Map<string, WrittenPage>()
  written.set(page, all)
  const known = all.get(name) ?? { actions }
  all.set(name, known)
  return known
}

/** The entity tag of `pageJson`, made as that of a request is. */
export function pageTag(page: Page, caller: Principal, now: Date, list: string): string {
  const one = writtenPage(page, caller, now, list)
  const { items, total, limit, offset, updatedUntil } = page
  one.tag ??= tagOf(
    [total, limit, offset, nextCursor(page, list), updatedUntil?.getTime()].join() +
      items.map((item, at) => outline(shownTo(caller, item), one.actions[at] ?? '[]')).join(),
  )
  return one.tag
}

const nextCursor = ({ next, updatedUntil }: Page, list: string): string | null =>
  next && encodeListCursor({ after: next, updatedUntil }, list)

/** A page of `list`. Callers may share a page (see reading.ts). */
export function pageJson(page: Page, caller: Principal, now: Date, list: string): string {
  const one = writtenPage(page, caller, now, list)
  const { actions } = one
  if (one.text !== undefined) return one.text
  const next = nextCursor(page, list)
  const items = page.items.map((item, at) => write(shownTo(caller, item), actions[at] ?? '[]')).join(',')
  const text =
    `{"items":[${items}],"total":${page.total},"limit":${page.limit},"offset":${page.offset},` +
    `"next_cursor":${word(next)},"watermark":${time(page.updatedUntil)}${matches(page, caller)}}`
  one.text = text
  return text
}

function matches({ items, search }: Page, caller: Principal): string {
  if (search === null) return ''
  const each = items.map((item) => ({ id: item.id, highlights: highlightsOf(shownTo(caller, item), search.wanted) }))
  return `,"matches":${JSON.stringify(each)}`
}

/** Nothing but `updated_at` shows an agent that a decision is held back, and nothing proves that decision to anybody. */
const shownTo = ({ kind }: Principal, consultation: Consultation): Consultation =>
  kind === 'agent' ? asAgentSees(consultation) : asPeopleSee(consultation)

/** `allowed_actions`, the only part of a reply that depends on more than the kind of its reader. */
function callersPart(consultation: Consultation, caller: Principal, now: Date): string {
  const actions = allowedActions(consultation, caller, now)
  return actions.length === 0 ? '[]' : `["${actions.join('","')}"]`
}

/**
 * `context` and `metadata` are spliced in as the agent wrote them, which keeps every number. The rest is written member by
 * member, in half the time of building an object for JSON.stringify (a list page of 20 is mostly this function). Tests hold
 * every reply to the schema in schemas.ts.
 */
function write(consultation: Consultation, actions: string): string {
  const { response, callback } = consultation
  const answer = response === null ? 'null' : `{${answerMembers(response, consultation.revision)}}`
  return (
    `{"id":"${consultation.id}","title":${text(consultation.title)},"description":${text(consultation.description)},` +
    `"context":${consultation.context},"metadata":${consultation.metadata ?? 'null'},${truncated(consultation)}` +
    `"action":${consultation.action},"answer":${consultation.answerAsked},"justification":${text(consultation.justification)},` +
    `"presentation":${consultation.presentation},"risk":"${consultation.risk}","risk_proposed":"${consultation.riskProposed}",` +
    `"priority":"${consultation.priority}","tags":${list(consultation.tags)},"run_id":${text(consultation.runId)},` +
    `"state":"${consultation.state}",` +
    `"revision":${consultation.revision},"attachments":${consultation.attachments ?? '[]'},"response":${answer},"responded_by":${word(response?.responderId)},` +
    `"responded_at":${time(response?.respondedAt)},"decided_by":${word(consultation.decidedBy)},` +
    `"hold_seconds":${consultation.holdSeconds},"held_until":${time(consultation.heldUntil)},` +
    `"outcome":${outcomeJson(consultation)},` +
    `"callback_webhook":${text(consultation.callbackUrl)},"callback_events":${JSON.stringify(consultation.callbackEvents)},` +
    `"callback_sent_at":${time(callback.sentAt)},` +
    `"callback":{"status":"${callback.status}","attempts":${callback.attempts},` +
    `"next_attempt_at":${time(callback.nextAttemptAt)},"last_error":${text(callback.lastError)}},` +
    `"digest":"${consultation.digest}","certificate":${word(consultation.certificate)},` +
    `"certificate_expires_at":${time(consultation.certificateExpiresAt)},` +
    `"redeemed_at":${time(consultation.redeemedAt)},"erased_at":${time(consultation.erasedAt)},` +
    `"timeout_at":${time(consultation.timeoutAt)},"traceparent":${text(consultation.traceparent)},"agent_id":"${consultation.agentId}","api_key_id":"${consultation.apiKeyId}",` +
    `"agent_paused":${consultation.state === 'pending' && consultation.agentPaused === true},` +
    `"allowed_actions":${actions},"created_at":${time(consultation.createdAt)},"revised_at":${time(consultation.revisedAt)},"updated_at":${time(consultation.updatedAt)}}`
  )
}

/** The members of an answer to this revision. */
export function answerMembers(response: Response, revision: number): string {
  return (
    `"decision":${word(response.decision)},"comment":${text(response.comment)},` +
    `"choices":${list(response.choices)},"data":${response.data},"args":${response.args},"args_patch":${response.argsPatch},` +
    `"attachments":${response.attachments},"responder_id":"${response.responderId}",` +
    `"responder":{"id":"${response.responderId}","name":${text(response.responderName || null)}},` +
    `"responded_at":${time(response.respondedAt)},"revision":${revision}`
  )
}

function outcomeJson({ outcome }: Consultation): string {
  if (outcome === null) return 'null'
  const { status, detail, data, reportedAt } = outcome
  return `{"status":"${status}","detail":${text(detail)},"data":${data ?? 'null'},"reported_at":${time(reportedAt)}}`
}

const truncations = [
  ['contextTruncated', '"context_truncated":true,'],
  ['metadataTruncated', '"metadata_truncated":true,'],
  ['actionTruncated', '"action_truncated":true,'],
  ['answerAskedTruncated', '"answer_truncated":true,'],
  ['presentationTruncated', '"presentation_truncated":true,'],
  ['responseTruncated', '"response_truncated":true,'],
] as const

function truncated(consultation: Consultation): string {
  let told = ''
  for (const [name, member] of truncations) if (consultation[name]) told += member
  return told
}

export function list(values: readonly string[] | null): string {
  return values === null ? 'null' : values.length === 0 ? '[]' : JSON.stringify(values)
}

/** For text that a person or an agent wrote. */
export function text(value: string | null): string {
  return value === null ? 'null' : JSON.stringify(value)
}

/** For ids and our own words, which need no escaping. */
export function word(value: string | null | undefined): string {
  return value == null ? 'null' : `"${value}"`
}

export function time(value: Date | null | undefined): string {
  return value == null ? 'null' : `"${value.toISOString()}"`
}
