import { type Idempotency, idempotencyMismatch } from '../platform/idempotency.ts'

/** Repeated calls of the acts on a request: its row keeps the mark of each, so that the repetition is recognized without a table of replies. */

/** When a call was made, and what it left as the request's `updated_at`. */
export interface Mark {
  readonly at: Date
  readonly updatedAt: Date
}

/** The mark of a call that may be repeated, with the keyed hash of its body and its Idempotency-Key. */
export function markOf(idempotency: Idempotency | null, { at, updatedAt }: Mark): string | null {
  if (idempotency === null) return null
  return `${at.toISOString()} ${idempotency.hash.toString('hex')} ${idempotency.key} ${updatedAt.toISOString()}`
}

/** The mark of the call that this one repeats; null if it repeats none. Throws 422 for its key with another body. */
export function repeated(mark: string | null | undefined, idempotency: Idempotency | null): Mark | null {
  const [at = '', hash = '', key, updatedAt = at] = mark?.split(' ') ?? []
  if (idempotency === null || key !== idempotency.key) return null
  if (!idempotency.isOf(Buffer.from(hash, 'hex'))) throw idempotencyMismatch()
  return { at: new Date(at), updatedAt: new Date(updatedAt) }
}

/** The change of a repeated call: nothing is saved, and no fact recorded. */
export function unchanged<Kept>(before: Kept, shown: Kept) {
  return { before, after: { ...shown, isRepeated: true as const }, facts: [] }
}
