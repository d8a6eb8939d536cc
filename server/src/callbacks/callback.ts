import type { NextStep } from '../deliveries/delivery.ts'
import type { DeliveryStatus } from '../deliveries/list-store.ts'
import { notSent, type PostResult } from '../outbound/attempt.ts'
import { parseAllowList, type TargetRules } from '../outbound/target-guard.ts'
import type { PostErrorCode } from '../outbound/transport-errors.ts'

/** What a callback that was ordered may be, in lists. */
export const listedStatuses = [
  'pending',
  'delivering',
  'sent',
  'failed',
  'withdrawn',
] as const satisfies readonly DeliveryStatus[]

/** The outcome of an attempt to post a callback. */
export interface CallbackResult extends Omit<PostResult, 'error'> {
  readonly error: { readonly code: PostErrorCode | 'secret' | 'changed' | 'body'; readonly message: string } | null
}

/** Nothing is sent unsigned instead: the receiver could not tell it from a forgery. */
export const secretUnreadable: CallbackResult = notSent({
  code: 'secret',
  message:
    'The callback secret cannot be read: the key that sealed it is missing. Start the service with that SECRET_KEY or KEY_ENCRYPTION_KEYS, then ask for a redelivery.',
})

/** It is not signed: what a receiver finds under a good signature must be what this service ordered. */
export const changedInOutbox: CallbackResult = notSent({
  code: 'changed',
  message:
    'The stored callback is not what this service put there: it was changed in the database, or SECRET_KEY_PREVIOUS is missing. Read the request instead, and tell the operator.',
})

export const bodyGone: CallbackResult = notSent({
  code: 'body',
  message:
    'The callback cannot be sent again: after its delivery only its digest was kept, and what the request says now gives another body.',
})

/** Where callbacks may go; `allowed`: the entries of CALLBACK_ALLOW. */
export const callbackRules = (allowed: readonly string[]): TargetRules => ({
  what: 'callback',
  setting: 'CALLBACK_ALLOW',
  allow: parseAllowList(allowed),
})

/** The longest Retry-After that is honoured: a day. */
const maxRetryAfterSeconds = 86_400

/** Up to a tenth is added to every wait, so that callbacks that failed together are not retried together. */
const jitter = 0.1

/** The waits between attempts; after the last of both there is one more attempt. */
export interface Schedule {
  readonly retrySeconds: readonly number[]
  /** After the retries, while the request says `callback_failed`. */
  readonly recoverySeconds: readonly number[]
}

/**
 * What a result means for the callback.
 * @param roundAttempts attempts of this round, this one included
 * @param random 0 <= random < 1
 */
export function nextStep(
  result: CallbackResult,
  roundAttempts: number,
  { retrySeconds, recoverySeconds }: Schedule,
  random: number,
): NextStep {
  if (succeeded(result)) return { kind: 'sent' }
  const error = describe(result)
  const wait = [...retrySeconds, ...recoverySeconds][roundAttempts - 1]
  // 410 Gone: the receiver wants no more attempts (Standard Webhooks). A refused target stays refused.
  const final = result.status === 410 || result.error?.code === 'target_refused' || result.error?.code === 'body'
  if (final || wait === undefined) return { kind: 'failed', error }
  const asked = Math.min(result.retryAfterSeconds ?? 0, maxRetryAfterSeconds)
  const scheduled = wait * (1 + jitter * random)
  return {
    kind: 'retry',
    afterMs: Math.round(Math.max(scheduled, asked) * 1000),
    error,
    isRecovery: roundAttempts > retrySeconds.length,
    isAsked: asked > scheduled,
  }
}

/** Only a complete 2xx is success; a redirect is not. */
export function succeeded(result: CallbackResult): boolean {
  return result.error === null && result.status !== null && result.status >= 200 && result.status < 300
}

/** Failures on our side: nothing reached the receiver. */
const ours: ReadonlySet<string> = new Set(['target_refused', 'secret', 'changed', 'body', 'stopped'])

/** Whether the receiver itself is in trouble, which is what the breaker counts: no (complete) reply, 5xx, or 429. */
export function isTargetInTrouble(result: CallbackResult): boolean {
  if (result.error?.code === 'timeout' || result.error?.code === 'reset') return true
  if (result.status === null) return !ours.has(result.error?.code ?? '')
  return result.status >= 500 || result.status === 429
}

function describe(result: CallbackResult): string {
  return result.error?.message ?? notReceived(result.status)
}

export function notReceived(status: number | null): string {
  return `The receiver replied ${status}; only 2xx counts as received.`
}
