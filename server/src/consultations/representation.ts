import type { CallerKind } from '../identity/principal.ts'
import { encodeCursor } from '../platform/page.ts'
import { allowedActions, type Consultation } from './consultation.ts'
import type { Page } from './list-store.ts'

/**
 * A consultation as the wire shows it, as JSON text. `context` and `metadata` are spliced in as the agent wrote them, which
 * keeps every number; the rest is written member by member, in half the time of JSON.stringify over an object made for it
 * (a list page of 20 is mostly this function). The tests hold every reply to the schema in schemas.ts.
 */
export function requestJson(consultation: Consultation, caller: CallerKind, now: Date): string {
  const { response, callback } = consultation
  const shown =
    response === null
      ? 'null'
      : `{"decision":"${response.decision}","comment":${text(response.comment)},` +
        `"responder_id":"${response.responderId}","responded_at":${time(response.respondedAt)}}`
  return (
    `{"id":"${consultation.id}","title":${text(consultation.title)},"description":${text(consultation.description)},` +
    `"context":${consultation.context},"metadata":${consultation.metadata ?? 'null'},"state":"${consultation.state}",` +
    `"revision":${consultation.revision},"response":${shown},"responded_by":${word(response?.responderId)},` +
    `"responded_at":${time(response?.respondedAt)},"decided_by":${word(consultation.decidedBy)},` +
    `"callback_webhook":${text(consultation.callbackUrl)},"callback_sent_at":${time(callback.sentAt)},` +
    `"callback":{"status":"${callback.status}","attempts":${callback.attempts},` +
    `"next_attempt_at":${time(callback.nextAttemptAt)},"last_error":${text(callback.lastError)}},` +
    `"digest":"${consultation.digest}","certificate":${word(consultation.certificate)},` +
    `"certificate_expires_at":${time(consultation.certificateExpiresAt)},` +
    `"redeemed_at":${time(consultation.redeemedAt)},` +
    `"timeout_at":${time(consultation.timeoutAt)},"agent_id":"${consultation.agentId}","api_key_id":"${consultation.apiKeyId}",` +
    `"agent_paused":${consultation.state === 'pending' && consultation.agentPaused === true},` +
    `"allowed_actions":${JSON.stringify(allowedActions(consultation, caller, now))},` +
    `"created_at":${time(consultation.createdAt)},"updated_at":${time(consultation.updatedAt)}}`
  )
}

const written = new WeakMap<Page, Map<CallerKind, string>>()

/** A list page. Callers of one kind who share a page (see findPage in service.ts) share its text too. */
export function pageJson(page: Page, caller: CallerKind, now: Date): string {
  const texts = written.get(page) ?? new Map<CallerKind, string>()
  written.set(page, texts)
  const known = texts.get(caller)
  if (known !== undefined) return known
  const last = page.items.at(-1)
  const next = page.hasMore && last !== undefined ? encodeCursor(last.id) : null
  const items = page.items.map((item) => requestJson(item, caller, now)).join(',')
  const text =
    `{"items":[${items}],"total":${page.total},"limit":${page.limit},"offset":${page.offset},` +
    `"next_cursor":${JSON.stringify(next)}}`
  texts.set(caller, text)
  return text
}

/** Anything that a person or an agent wrote. */
function text(value: string | null): string {
  return value === null ? 'null' : JSON.stringify(value)
}

/** Ids and our own words: nothing in them needs escaping. */
function word(value: string | null | undefined): string {
  return value == null ? 'null' : `"${value}"`
}

function time(value: Date | null | undefined): string {
  return value == null ? 'null' : `"${value.toISOString()}"`
}
