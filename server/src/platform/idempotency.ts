import { type Problem, refusal } from './problem.ts'

/** A call that may be repeated: calls with the same key and body create one thing and get one reply. */
export interface Idempotency {
  /** The caller's Idempotency-Key. */
  readonly key: string
  /** Keyed hash of the request body, to be stored. */
  readonly hash: Buffer
  /** Whether a stored hash is of the same body, under the current or an earlier key. */
  isOf(stored: Buffer | null): boolean
}

/** The same Idempotency-Key came with another body. */
export const idempotencyMismatch = refusal(
  422,
  'idempotency.body_differs',
  'This Idempotency-Key was used before with another body. Use a new key for a new request.',
)

/** Two calls with one Idempotency-Key at once. */
export const idempotencyUnderWay = refusal(409, 'idempotency.under_way', () => ({
  detail: 'An earlier call with this Idempotency-Key is still under way. Repeat yours in a second to get its reply.',
  headers: { 'retry-after': '1' },
}))

/** What an earlier call with the same Idempotency-Key made, and the stored hash of its body. */
export interface Earlier<Made> {
  readonly made: Made
  readonly hash: Buffer | null
}

export interface CreatedOnce<Made> {
  readonly made: Made
  /** An earlier call made it: this one repeats its reply. */
  readonly replayed: boolean
}

/** How to create something when the call may be a repetition. */
export interface Creation<Made> {
  /** Creates it in one transaction; null, keeping nothing, when the key was used before or for the reason of `taken`. */
  insert(): Promise<Made | null>
  find(key: string): Promise<Earlier<Made> | null>
  /** The earlier one as its first reply described it; left out when nothing in the reply ever changes. */
  initialReply?(earlier: Made): Made
  /** Why nothing was inserted when no earlier call explains it; left out where only the key can conflict. */
  taken?(): Problem
  /** Looks for an earlier call before anything is checked or a step-up is required. */
  readonly findFirst?: boolean
}

/** Creates, or returns what the first call with this Idempotency-Key created. The same key with another body is refused. */
export async function createOnce<Made>(
  idempotency: Idempotency | null,
  { insert, find, initialReply = (made) => made, taken = idempotencyMismatch, findFirst = false }: Creation<Made>,
): Promise<CreatedOnce<Made>> {
  const replay = async (): Promise<CreatedOnce<Made> | null> => {
    const earlier = idempotency && (await find(idempotency.key))
    if (earlier === null) return null
    if (!idempotency?.isOf(earlier.hash)) throw idempotencyMismatch()
    return { made: initialReply(earlier.made), replayed: true }
  }
  const first = findFirst ? await replay() : null
  if (first !== null) return first
  const made = await insert()
  if (made !== null) return { made, replayed: false }
  const earlier = await replay()
  if (earlier === null) throw taken()
  return earlier
}
