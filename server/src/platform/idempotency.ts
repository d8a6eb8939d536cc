import { refusal } from './problem.ts'

/** A call that may be repeated: the same key and body make one thing and give one reply. */
export interface Idempotency {
  /** The caller's Idempotency-Key. */
  readonly key: string
  /** Keyed hash of the request body, to be stored. */
  readonly hash: Buffer
  /** Whether a stored hash is of the same body, by the present or an earlier key. */
  isOf(stored: Buffer | null): boolean
}

/** The same Idempotency-Key came with another body. */
export const idempotencyMismatch = refusal(
  422,
  'idempotency.body_differs',
  'This Idempotency-Key was used before with another body. Use a new key for a new request.',
)
