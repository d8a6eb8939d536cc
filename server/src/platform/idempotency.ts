import { Problem } from './problem.ts'

/** A call that may be repeated: the same key and body make one thing and give one reply. */
export interface Idempotency {
  /** The caller's Idempotency-Key. */
  readonly key: string
  /** SHA-256 of the request body. */
  readonly hash: Buffer
}

/** 422: the same Idempotency-Key came with another body. */
export function idempotencyMismatch(): Problem {
  return new Problem(
    422,
    'idempotency.body_differs',
    'This Idempotency-Key was used before with another body. Use a new key for a new request.',
  )
}
