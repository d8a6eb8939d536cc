import { actorOf, type Caller, type Principal } from '../identity/principal.ts'
import { inTransaction, type Tx } from '../platform/database/db.ts'
import { isId } from '../platform/ids.ts'
import { attachmentJson, attachmentNotFound, isOwn, isSealed, isVisible, type StoredAttachment } from './attachment.ts'
import type { ByteRange } from './byte-range.ts'
import { openContent } from './contents.ts'
import type { AttachmentContext } from './context.ts'
import * as store from './store.ts'
import { addAttachment, factOfDraft } from './upload.ts'

export type Attachments = ReturnType<typeof createAttachments>

/** The use cases that doors call. */
export function createAttachments(context: AttachmentContext) {
  return {
    add: addAttachment.bind(null, context),
    find: find.bind(null, context),
    open: (attachment: StoredAttachment, range: ByteRange | null) =>
      openContent(context.db, context.objects, attachment, range),
    remove: remove.bind(null, context),
    erase: (tx: Tx, organizationId: string, requestId: string) => store.removeAll(tx, organizationId, [requestId]),
    /** What a person added to their answers to these requests. */
    eraseOf: store.removeAll,
  }
}

/** Throws 404 for a file that the caller may not see, as for one that does not exist. */
async function find(
  { db, requests }: AttachmentContext,
  principal: Principal,
  requestId: string,
  id: string,
): Promise<StoredAttachment> {
  const { withheld } = await requests.requireVisible(principal, requestId)
  return visibleTo(principal, await findIn(db.within(scopeOf(principal)), principal, requestId, id), withheld)
}

const scopeOf = ({ organizationId }: Principal) => ({ organizationId })

const findIn = (
  db: Parameters<typeof store.find>[0],
  { organizationId }: Principal,
  requestId: string,
  id: string,
): Promise<StoredAttachment | null> =>
  isId(id) ? store.find(db, organizationId, requestId.toLowerCase(), id.toLowerCase()) : Promise.resolve(null)

function visibleTo(
  principal: Principal,
  found: StoredAttachment | null,
  withheld: readonly string[] = [],
): StoredAttachment {
  if (found === null || !isVisible(found, actorOf(principal), withheld)) throw attachmentNotFound()
  return found
}

/** Before the request is answered, by whoever added it. */
function remove(
  { db, clock, requests, report }: AttachmentContext,
  by: Caller,
  requestId: string,
  id: string,
): Promise<void> {
  const { principal } = by
  return inTransaction(db, scopeOf(principal), async (tx) => {
    const open = await requests.lockOpen(tx, by, requestId)
    const found = visibleTo(principal, await findIn(tx, principal, requestId, id))
    if (!isOwn(found, actorOf(principal))) throw attachmentNotFound()
    if (found.isSealed) throw isSealed()
    await store.remove(tx, found.organizationId, found.requestId, found.id)
    if (principal.kind === 'agent') await open.detach(attachmentJson(found))
    else await report(tx, [factOfDraft('attachment.removed', by, found.requestId, found, clock.now())])
  })
}
