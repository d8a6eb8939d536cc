import { type Idempotency, idempotencyMismatch, idempotencyUnderWay } from '../../platform/idempotency.ts'

/** The rules of replies that are kept for the repetition of a call: pure. */

/** As it was sent. */
export interface Reply {
  readonly status: number
  readonly type: string | null
  readonly body: string | null
}

export const keptMs = 86_400_000

/** What one caller's replies come to at most; then the oldest go. A reply has at most about a request's bytes. */
export const mostOfCaller = { replies: 1_000, bytes: 8 * 1_048_576 } as const

/** Longer than any call takes; a call that died with its process may be repeated after it. */
export const longestCallMs = 60_000

export interface EarlierCall {
  readonly id: string
  readonly bodyHash: Buffer
  /** Sealed; null while the call is under way. */
  readonly reply: Buffer | null
}

/** The sealed reply to repeat. Throws 422 for another body under the same key, and 409 while the earlier call is under way. */
export function replyToRepeat({ bodyHash, reply }: EarlierCall, idempotency: Idempotency): Buffer {
  if (!idempotency.isOf(bodyHash)) throw idempotencyMismatch()
  if (reply === null) throw idempotencyUnderWay()
  return reply
}

/**
 * Refusals are not kept: they changed nothing, and the caller may have earned a step-up, or the service be back, when the call
 * is repeated.
 */
export function isKept(status: number): boolean {
  return status >= 200 && status < 300
}
