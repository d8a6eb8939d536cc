import { type Idempotency, idempotencyMismatch } from '../platform/idempotency.ts'

/** Repeated calls of the acts on a request: its row keeps the mark of each, so that the repetition is recognized without a table of replies. */

/** The time of a call that may be repeated, the keyed hash of its body, and its Idempotency-Key. */
export function markOf(idempotency: Idempotency | null, now: Date): string | null {
  return idempotency && `${now.toISOString()} ${idempotency.hash.toString('hex')} ${idempotency.key}`
}

/** When the call with this mark was made; null if this call does not repeat it. Throws 422 for its key with another body. */
export function repeatedAt(mark: string | null | undefined, idempotency: Idempotency | null): Date | null {
  const [at = '', hash = '', key] = mark?.split(' ') ?? []
  if (idempotency === null || key !== idempotency.key) return null
  if (!idempotency.isOf(Buffer.from(hash, 'hex'))) throw idempotencyMismatch()
  return new Date(at)
}

/** The change of a repeated call: nothing is saved, and no fact recorded. */
export function unchanged<Kept>(before: Kept, shown: Kept) {
  return { before, after: { ...shown, isRepeated: true as const }, facts: [] }
}
