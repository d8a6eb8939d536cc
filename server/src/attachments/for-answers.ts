import type { Queryable } from '../platform/database/db.ts'
import { attachmentJson, unusedMs } from './attachment.ts'
import * as store from './store.ts'

/** What answers make of the files that people added, in the transactions of those answers. */
export const filesForAnswers = {
  find: async (db: Queryable, organizationId: string, ids: readonly string[], locked: boolean) =>
    (await store.addedByPeople(db, organizationId, ids, locked)).map((one) => ({
      file: attachmentJson(one),
      isTaken: one.isSealed,
      requestId: one.requestId,
      addedById: `${one.addedBy.id}`,
    })),
  seal: store.seal,
  /** From the end of their answer on they have as long as when they were added. */
  free: (tx: Queryable, organizationId: string, ids: readonly string[], at: Date) =>
    store.free(tx, organizationId, ids, new Date(at.getTime() + unusedMs)),
}
