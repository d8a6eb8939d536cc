import type { SettledAttempt } from '../deliveries/delivery.ts'
import type { Actor } from '../facts/fact.ts'
import { later } from '../platform/clock.ts'
import { refusal } from '../platform/problem.ts'
import type { CallbackProgress, CalledBack, Change, Consultation, RequestFact, State } from './consultation.ts'

/** How the callback of a closed request fares. */

export const nothingToRedeliver = refusal(
  409,
  'consultation.nothing_to_redeliver',
  (state: State, isUnderWay: boolean) => ({
    detail: isUnderWay
      ? 'The callback is still being delivered. Wait for its outcome before asking for another delivery.'
      : 'This request has sent no callback, so there is nothing to send again.',
    extra: { state },
  }),
  'pending',
  false,
)

/** The change with the id of the callback that it owes, if it owes one. */
export function owing(change: Change, newId: () => string): Change {
  const { before, after } = change
  if (before.callbackId !== null || after.callbackId !== null || after.callback.status !== 'pending') return change
  return { ...change, after: { ...after, callbackId: newId() } }
}

/**
 * Success moves responded -> callback_sent, the last of the quick retries responded -> callback_failed, and a success of the
 * recovery callback_failed -> callback_sent; timeout and cancelled stay.
 */
export function callbackAttempted<C extends CalledBack>(
  before: C,
  outcome: SettledAttempt['outcome'],
  recordedAt: Date = outcome.at,
): Change<C> {
  const { callback: was } = before
  const isHeld = outcome.kind !== 'sent' && outcome.isHeld === true
  const attempts = was.attempts + (isHeld ? 0 : 1)
  const touched = { ...before, updatedAt: later(before, recordedAt) }
  const lastError = outcome.kind === 'sent' ? null : isHeld ? (was.lastError ?? outcome.error) : outcome.error
  const nextAttemptAt = outcome.kind === 'retry' ? outcome.nextAttemptAt : null
  const isFailed = outcome.kind === 'failed' || (outcome.kind === 'retry' && outcome.isRecovery === true)
  const progress = { attempts, nextAttemptAt, lastError }
  if (outcome.kind === 'retry' && (!isFailed || was.status === 'failed')) {
    const status = was.status === 'failed' ? 'failed' : 'delivering'
    return { before, after: { ...touched, callback: { ...was, status, ...progress } }, facts: [] }
  }
  const callback: CallbackProgress = isFailed
    ? { status: 'failed', ...progress, sentAt: was.sentAt }
    : { status: 'sent', ...progress, sentAt: outcome.at }
  const decided = before.state === 'responded' || before.state === 'callback_failed'
  const state: State = !decided ? before.state : isFailed ? 'callback_failed' : 'callback_sent'
  const failure = was.status === 'failed' ? 'request.callback_abandoned' : 'request.callback_failed'
  const auditedFields = {
    state,
    attempts,
    ...(lastError === null ? {} : { error: lastError }),
    ...(nextAttemptAt === null ? {} : { next_attempt_at: nextAttemptAt }),
  }
  const fact: RequestFact = {
    kind: isFailed ? failure : 'request.callback_sent',
    actor: { kind: 'system', id: null },
    before: { state: before.state },
    after: auditedFields,
  }
  return { before, after: { ...touched, state, callback }, facts: [fact] }
}

/** A callback beside the one that reports how the request was closed: nothing of the request shows how it fares. */
export function besideAttempted<C extends CalledBack>(found: C, { delivery, outcome }: SettledAttempt): Change<C> {
  const nothing = { before: found, after: found, facts: [] }
  const { event, failedAt } = delivery
  if (outcome.kind === 'retry' && (outcome.isRecovery !== true || failedAt !== null)) return nothing
  const attempts = delivery.attempts + (outcome.kind !== 'sent' && outcome.isHeld === true ? 0 : 1)
  const failure = failedAt === null ? 'request.callback_failed' : 'request.callback_abandoned'
  const fact: RequestFact = {
    kind: outcome.kind === 'sent' ? 'request.callback_sent' : failure,
    actor: { kind: 'system', id: null },
    before: { state: found.state },
    after: {
      state: found.state,
      event,
      attempts,
      ...(outcome.kind === 'sent' ? {} : { error: outcome.error }),
      ...(outcome.kind === 'retry' ? { next_attempt_at: outcome.nextAttemptAt } : {}),
    },
  }
  return { ...nothing, facts: [fact] }
}

/** Sends the last callback again, with the same webhook-id and the same bytes. `meant`: only if it is this one. */
export function redeliver(before: Consultation, actor: Actor, now: Date, meant = before.callbackId): Change {
  const { status } = before.callback
  if (meant !== before.callbackId) throw nothingToRedeliver(before.state, false)
  if (status !== 'sent' && status !== 'failed') {
    throw nothingToRedeliver(before.state, status !== 'none')
  }
  const callback: CallbackProgress = { ...before.callback, status: 'pending', nextAttemptAt: now }
  return {
    before,
    after: { ...before, callback, updatedAt: later(before, now) },
    facts: [
      { kind: 'request.redelivery_requested', actor, before: { callback: status }, after: { callback: 'pending' } },
    ],
  }
}
