/** The subject of a delivery: the outcome is recorded on it, and attempts are listed by it. */
export interface Subject {
  readonly organizationId: string
  readonly channel: string
  readonly subjectId: string
}

/** One of the deliveries about a subject. */
export interface Ordered extends Subject {
  readonly id: string
}

export interface NewDelivery extends Ordered {
  readonly address: string
  /** The same for addresses that fail together; see `targets.ts`. */
  readonly target: string
  /** What it reports, in the words of its channel. */
  readonly event: string
  /** When its subject changed, which it reports. */
  readonly changedAt: Date
  /** Whether the state of its subject shows how it fares. */
  readonly isShown: boolean
  /** Sealed. */
  readonly secret: Buffer | null
  readonly body: string
  /** W3C Trace Context of what it is about. */
  readonly traceparent: string | null
  /** What its channel recognises it by when it comes back from the database. */
  readonly proof: Buffer | null
  /** Of the body in UTF-8. */
  readonly bodyBytes: number
  /** The waits before each retry, and the longer ones after these, while its subject says that it failed. */
  readonly retrySeconds: readonly number[]
  readonly recoverySeconds: readonly number[]
  /** When it first fell due. */
  readonly createdAt: Date
}

/** A delivery that this process has leased and makes now. */
export interface Delivery extends Omit<NewDelivery, 'isShown'> {
  /** Earlier attempts, in all and in this round of the retry schedule. */
  readonly attempts: number
  readonly roundAttempts: number
  /** Since when its subject says that it failed. */
  readonly failedAt: Date | null
  /** Of a body that was dropped once it was delivered. */
  readonly bodySha256: Buffer | null
  /** Fences the result: once another worker has taken over the lease, this one settles nothing. */
  readonly leaseToken: string
}

/** A lease outlives three missed renewals; a dead worker's deliveries are taken over 8.5 s after its last one. */
export const leaseMs = 8_000

export type NextStep =
  | { readonly kind: 'sent' }
  | {
      readonly kind: 'retry'
      readonly afterMs: number
      readonly error: string
      /** The quick retries are used up. */
      readonly isRecovery: boolean
      /** The receiver asked for this wait. */
      readonly isAsked: boolean
    }
  | { readonly kind: 'failed'; readonly error: string }

/** The outcome of one attempt, as its channel judges it. */
export interface AttemptResult {
  readonly statusCode: number | null
  readonly durationMs: number
  readonly reply: string
  readonly errorCode: string | null
  readonly error: string | null
  /** Whether the target itself is in trouble, which is what the breaker counts. */
  readonly isTargetInTrouble: boolean
  readonly next: NextStep
}

export interface EndedAttempt {
  readonly delivery: Delivery
  readonly id: string
  readonly startedAt: Date
  readonly endedAt: Date
  readonly result: AttemptResult
  /** When the next attempt is due; null when there is none. */
  readonly dueAt: Date | null
  /** No attempt was made: the breaker of its receiver is open. */
  readonly isHeld?: true
}

export function endAttempt(
  delivery: Delivery,
  result: AttemptResult,
  { id, startedAt, endedAt }: Pick<EndedAttempt, 'id' | 'startedAt' | 'endedAt'>,
): EndedAttempt {
  const dueAt = result.next.kind === 'retry' ? new Date(endedAt.getTime() + result.next.afterMs) : null
  return { delivery, id, startedAt, endedAt, result, dueAt }
}

/**
 * What is held back falls due again after as long as it has failed by then, between these bounds. Up to half of it is taken off,
 * so that at most times one of those that wait for a receiver is due and can try it.
 */
const heldMs = { least: 60_000, most: 900_000 } as const
/** A receiver that does not reply for so long is given up. */
const heldAtMost = 86_400_000
const noReply = 'The receiver does not reply. The attempts wait until it does.'

/** Passes over a due attempt whose receiver is known not to reply: none is used up, and its subject says that it failed. */
export function holdBack(delivery: Delivery, id: string, now: Date, random: number): EndedAttempt {
  const failedMs = delivery.failedAt === null ? 0 : now.getTime() - delivery.failedAt.getTime()
  const afterMs = Math.round(Math.min(heldMs.most, Math.max(heldMs.least, failedMs)) * (1 - random / 2))
  const next: NextStep =
    failedMs >= heldAtMost
      ? { kind: 'failed', error: 'The receiver has not replied for a day.' }
      : { kind: 'retry', afterMs, error: noReply, isRecovery: true, isAsked: false }
  const nothing = { statusCode: null, durationMs: 0, reply: '', errorCode: null, error: null } as const
  const result = { ...nothing, isTargetInTrouble: true, next }
  return { ...endAttempt(delivery, result, { id, startedAt: now, endedAt: now }), isHeld: true }
}

/** Whether it is with this attempt that its subject begins to say that it failed, or that nothing more is tried. */
export function isGivenUp({ delivery, result: { next } }: EndedAttempt): boolean {
  return next.kind === 'failed' || (next.kind === 'retry' && next.isRecovery && delivery.failedAt === null)
}

/** The same attempt without text from the receiver. */
export function withoutReply(attempt: EndedAttempt, id: string): EndedAttempt {
  const { result } = attempt
  return { ...attempt, id, result: { ...result, reply: '', error: result.error && 'The attempt failed.' } }
}

/** How an attempt ended, for its subject. `isHeld`: none was made. `isRecovery`: the quick retries are used up. */
export interface SettledAttempt {
  readonly organizationId: string
  /** The subject's id. */
  readonly id: string
  /** As it was before this attempt. */
  readonly delivery: Pick<Delivery, 'id' | 'event' | 'attempts' | 'failedAt'>
  /** The time of the change, later than that of the one before. */
  readonly changedAt: Date
  /** False once its subject has another end than the delivery. */
  readonly isShown: boolean
  readonly outcome:
    | { readonly kind: 'sent'; readonly at: Date }
    | {
        readonly kind: 'retry'
        readonly at: Date
        readonly error: string
        readonly nextAttemptAt: Date
        readonly isRecovery?: boolean
        readonly isHeld?: true
      }
    | { readonly kind: 'failed'; readonly at: Date; readonly error: string; readonly isHeld?: true }
}

export function settledAttempt(
  { delivery, endedAt: at, result, dueAt, isHeld }: EndedAttempt,
  { changedAt, isShown }: Pick<SettledAttempt, 'changedAt' | 'isShown'>,
): SettledAttempt {
  const { organizationId, subjectId: id } = delivery
  const { next } = result
  const settled = { organizationId, id, delivery, changedAt, isShown }
  if (next.kind === 'sent') return { ...settled, outcome: { kind: 'sent', at } }
  const failure = { at, error: next.error, ...(isHeld && { isHeld }) }
  if (next.kind === 'failed' || dueAt === null) return { ...settled, outcome: { kind: 'failed', ...failure } }
  const { isRecovery } = next
  return { ...settled, outcome: { kind: 'retry', ...failure, nextAttemptAt: dueAt, isRecovery } }
}
