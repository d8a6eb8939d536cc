import type { Tx } from '../platform/database/db.ts'
import { requireErasable } from './consultation.ts'
import type { Context } from './context.ts'
import * as revisions from './revision-store.ts'
import type { Key } from './row-keys.ts'
import * as search from './search/store.ts'
import * as store from './store.ts'

/** What the title says then: a title cannot be empty. */
const erasedTitle = 'Erased'

/** Empties what a person wrote when they decided these requests, in the transaction of the caller. */
export async function eraseComments(
  { clock }: Pick<Context, 'clock'>,
  tx: Tx,
  organizationId: string,
  ids: readonly string[],
  responderId: string,
): Promise<void> {
  await store.eraseComments(tx, organizationId, ids, responderId, clock.now())
  await search.empty(tx, organizationId, ids)
}

/** Empties what people and agents wrote in a closed request, in the transaction of the caller. */
export async function eraseRequest({ clock }: Pick<Context, 'clock'>, tx: Tx, key: Key): Promise<void> {
  const [before] = await store.lockCallbacks(tx, await store.lockCore(tx, [key]))
  if (before === undefined || before.erasedAt !== null) return
  requireErasable(before)
  const now = clock.now()
  await Promise.all([
    store.erase(tx, before, erasedTitle, now),
    revisions.erase(tx, key, erasedTitle, now),
    search.erase(tx, key.organizationId, [key.id]),
  ])
}
