import { allowedActions, type Consultation } from './consultation.ts'

/**
 * A consultation as the wire shows it, as JSON text: `context` and `metadata` are spliced in as the agent wrote them,
 * which keeps every number and saves parsing and writing them again (a list page of 20 costs a fifth).
 */
export function requestJson(consultation: Consultation, caller: 'agent' | 'reviewer' | 'admin', now: Date): string {
  const { response, callback } = consultation
  const plain = JSON.stringify({
    id: consultation.id,
    title: consultation.title,
    description: consultation.description,
    state: consultation.state,
    revision: consultation.revision,
    response:
      response === null
        ? null
        : {
            decision: response.decision,
            comment: response.comment,
            responder_id: response.responderId,
            responded_at: response.respondedAt,
          },
    responded_by: response?.responderId ?? null,
    responded_at: response?.respondedAt ?? null,
    decided_by: consultation.decidedBy,
    callback_webhook: consultation.callbackUrl,
    callback_sent_at: callback.sentAt,
    callback: {
      status: callback.status,
      attempts: callback.attempts,
      next_attempt_at: callback.nextAttemptAt,
      last_error: callback.lastError,
    },
    timeout_at: consultation.timeoutAt,
    api_key_id: consultation.apiKeyId,
    allowed_actions: allowedActions(consultation, caller, now),
    created_at: consultation.createdAt,
    updated_at: consultation.updatedAt,
  })
  return `${plain.slice(0, -1)},"context":${consultation.context},"metadata":${consultation.metadata ?? 'null'}}`
}
