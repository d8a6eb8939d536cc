import { allowedActions, type Consultation } from './consultation.ts'

/**
 * A consultation as the wire shows it, as JSON text. `context` and `metadata` are spliced in as the agent wrote them, which
 * keeps every number; the rest is written member by member, in half the time of JSON.stringify over an object made for it
 * (a list page of 20 is mostly this function). The tests hold every reply to the schema in schemas.ts.
 */
export function requestJson(consultation: Consultation, caller: 'agent' | 'reviewer' | 'admin', now: Date): string {
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
    `"timeout_at":${time(consultation.timeoutAt)},"api_key_id":"${consultation.apiKeyId}",` +
    `"allowed_actions":${JSON.stringify(allowedActions(consultation, caller, now))},` +
    `"created_at":${time(consultation.createdAt)},"updated_at":${time(consultation.updatedAt)}}`
  )
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
