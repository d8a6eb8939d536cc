import type { Principal } from '../identity/principal.ts'
import { allowedActions } from './allowed-actions.ts'
import type { Consultation } from './consultation.ts'
import { encodeListCursor } from './list-query.ts'
import type { Page } from './list-store.ts'

/** A consultation as the wire shows it to one caller, as JSON text. */
export function requestJson(consultation: Consultation, caller: Principal, now: Date): string {
  return write(consultation, callersPart(consultation, caller, now))
}

/** The texts of a page, by the part that depends on the caller: callers with equal parts share one. */
const written = new WeakMap<Page, Map<string, string>>()

/** A page of `list`. Callers may share a page (see reading.ts). */
export function pageJson(page: Page, caller: Principal, now: Date, list: string): string {
  const actions = page.items.map((item) => callersPart(item, caller, now))
  const name = `${list} ${actions.join()}`
  const texts = written.get(page) ?? new Map<string, string>()
  written.set(page, texts)
  const known = texts.get(name)
  if (known !== undefined) return known
  const last = page.items.at(-1)
  const next =
    page.hasMore && last !== undefined
      ? encodeListCursor({ before: last.id, updatedUntil: page.updatedUntil }, list)
      : null
  const items = page.items.map((item, at) => write(item, actions[at] ?? '[]')).join(',')
  const text =
    `{"items":[${items}],"total":${page.total},"limit":${page.limit},"offset":${page.offset},` +
    `"next_cursor":${word(next)},"watermark":${time(page.updatedUntil)}}`
  texts.set(name, text)
  return text
}

/** The only part of a reply that depends on its reader: `allowed_actions`. */
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
  const answer =
    response === null
      ? 'null'
      : `{"decision":"${response.decision}","comment":${text(response.comment)},` +
        `"responder_id":"${response.responderId}","responded_at":${time(response.respondedAt)}}`
  return (
    `{"id":"${consultation.id}","title":${text(consultation.title)},"description":${text(consultation.description)},` +
    `"context":${consultation.context},"metadata":${consultation.metadata ?? 'null'},${truncated(consultation)}"state":"${consultation.state}",` +
    `"revision":${consultation.revision},"attachments":${consultation.attachments ?? '[]'},"response":${answer},"responded_by":${word(response?.responderId)},` +
    `"responded_at":${time(response?.respondedAt)},"decided_by":${word(consultation.decidedBy)},` +
    `"callback_webhook":${text(consultation.callbackUrl)},"callback_sent_at":${time(callback.sentAt)},` +
    `"callback":{"status":"${callback.status}","attempts":${callback.attempts},` +
    `"next_attempt_at":${time(callback.nextAttemptAt)},"last_error":${text(callback.lastError)}},` +
    `"digest":"${consultation.digest}","certificate":${word(consultation.certificate)},` +
    `"certificate_expires_at":${time(consultation.certificateExpiresAt)},` +
    `"redeemed_at":${time(consultation.redeemedAt)},"erased_at":${time(consultation.erasedAt)},` +
    `"timeout_at":${time(consultation.timeoutAt)},"agent_id":"${consultation.agentId}","api_key_id":"${consultation.apiKeyId}",` +
    `"agent_paused":${consultation.state === 'pending' && consultation.agentPaused === true},` +
    `"allowed_actions":${actions},"created_at":${time(consultation.createdAt)},"updated_at":${time(consultation.updatedAt)}}`
  )
}

function truncated({ contextTruncated, metadataTruncated }: Consultation): string {
  return `${contextTruncated ? '"context_truncated":true,' : ''}${metadataTruncated ? '"metadata_truncated":true,' : ''}`
}

/** For text that a person or an agent wrote. */
function text(value: string | null): string {
  return value === null ? 'null' : JSON.stringify(value)
}

/** For ids and our own words, which need no escaping. */
function word(value: string | null | undefined): string {
  return value == null ? 'null' : `"${value}"`
}

function time(value: Date | null | undefined): string {
  return value == null ? 'null' : `"${value.toISOString()}"`
}
