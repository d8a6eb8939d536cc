import type { Clock } from '../../platform/clock.ts'
import type { Db } from '../../platform/database/db.ts'
import type { Idempotency } from '../../platform/idempotency.ts'
import { newId } from '../../platform/ids.ts'
import type { Place, Sealer } from '../../platform/secrets/sealed-text.ts'
import { withContext } from '../../platform/with-context.ts'
import { isKept, keptMs, longestCallMs, type Reply, replyToRepeat } from './reply.ts'
import * as store from './store.ts'

export interface ReplyContext {
  readonly db: Db
  readonly clock: Clock
  readonly sealer: Sealer
}

export type KeptReplies = ReturnType<typeof createKeptReplies>

export function createKeptReplies(context: ReplyContext) {
  return { ...withContext(context, { begin, end }), forget: store.forget }
}

const placeOf = (organizationId: string, row: string): Place => ({
  organizationId,
  table: 'kept_replies',
  column: 'reply',
  row,
})

/** The claim of a call that is the first with its key; for a repetition, the reply to the first. */
async function begin(
  { db, clock, sealer }: ReplyContext,
  call: Omit<store.CallKey, 'key'>,
  idempotency: Idempotency,
): Promise<{ readonly claim: store.Claim } | { readonly reply: Reply }> {
  const { organizationId } = call
  const scoped = db.within({ organizationId })
  for (;;) {
    const now = clock.now()
    const claim: store.Claim = {
      ...call,
      key: idempotency.key,
      id: newId(),
      bodyHash: idempotency.hash,
      claimedUntil: new Date(now.getTime() + longestCallMs),
      expiresAt: new Date(now.getTime() + keptMs),
    }
    if (await store.take(scoped, claim, now)) return { claim }
    const earlier = await store.find(scoped, claim)
    // Null: it was refused just now.
    if (earlier === null) continue
    const sealed = replyToRepeat(earlier, idempotency)
    return { reply: JSON.parse(await sealer.open(sealed, placeOf(organizationId, earlier.id))) as Reply }
  }
}

/** The call is over. */
async function end({ db, sealer }: ReplyContext, claim: store.Claim, reply: Reply): Promise<void> {
  const { organizationId, id } = claim
  const scoped = db.within({ organizationId })
  if (isKept(reply.status)) {
    await store.keep(scoped, claim, await sealer.seal(JSON.stringify(reply), placeOf(organizationId, id)))
  } else await store.release(scoped, claim)
}
