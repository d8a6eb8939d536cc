/** The subject of a delivery: the outcome is recorded on it, and attempts are listed by it. */
export interface Subject {
  readonly organizationId: string
  readonly channel: string
  readonly subjectId: string
}

export interface NewDelivery extends Subject {
  readonly id: string
  readonly address: string
  /** The same for addresses that fail together; see `targets.ts`. */
  readonly target: string
  /** Sealed. */
  readonly secret: Buffer | null
  readonly body: string
  /** What its channel recognises it by when it comes back from the database. */
  readonly proof: Buffer | null
  readonly retrySeconds: readonly number[]
}

/** A delivery that this process has leased and makes now. */
export interface Delivery extends NewDelivery {
  /** Earlier attempts, in all and in this round of the retry schedule. */
  readonly attempts: number
  readonly roundAttempts: number
  /** Fences the result: once another worker has taken over the lease, this one settles nothing. */
  readonly leaseToken: string
}

/** A lease outlives three missed renewals; a dead worker's deliveries are taken over 8.5 s after its last one. */
export const leaseMs = 8_000

export type NextStep =
  | { readonly kind: 'sent' }
  | { readonly kind: 'retry'; readonly afterMs: number; readonly error: string }
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
}

export function endAttempt(
  delivery: Delivery,
  result: AttemptResult,
  { id, startedAt, endedAt }: Pick<EndedAttempt, 'id' | 'startedAt' | 'endedAt'>,
): EndedAttempt {
  const dueAt = result.next.kind === 'retry' ? new Date(endedAt.getTime() + result.next.afterMs) : null
  return { delivery, id, startedAt, endedAt, result, dueAt }
}

/** The same attempt without text from the receiver. */
export function withoutReply(attempt: EndedAttempt, id: string): EndedAttempt {
  const { result } = attempt
  return { ...attempt, id, result: { ...result, reply: '', error: result.error && 'The attempt failed.' } }
}

/** How an attempt ended, for its subject. */
export interface SettledAttempt {
  readonly organizationId: string
  /** The subject's id. */
  readonly id: string
  readonly outcome:
    | { readonly kind: 'sent'; readonly at: Date }
    | { readonly kind: 'retry'; readonly at: Date; readonly error: string; readonly nextAttemptAt: Date }
    | { readonly kind: 'failed'; readonly at: Date; readonly error: string }
}

export function settledAttempt({ delivery, endedAt: at, result, dueAt }: EndedAttempt): SettledAttempt {
  const { organizationId, subjectId: id } = delivery
  const { next } = result
  if (next.kind === 'sent') return { organizationId, id, outcome: { kind: 'sent', at } }
  if (dueAt === null) return { organizationId, id, outcome: { kind: 'failed', at, error: next.error } }
  return { organizationId, id, outcome: { kind: 'retry', at, error: next.error, nextAttemptAt: dueAt } }
}
