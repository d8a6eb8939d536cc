import { createHash } from 'node:crypto'
import { factBy } from '../facts/fact.ts'
import { actorOf, byCaller, type Caller } from '../identity/principal.ts'
import { inTransaction, type Tx } from '../platform/database/db.ts'
import { type CreatedOnce, type Idempotency, idempotencyMismatch } from '../platform/idempotency.ts'
import { newId } from '../platform/ids.ts'
import { createSlots } from '../platform/limits/slots.ts'
import {
  type Attachment,
  attachmentJson,
  mostUnused,
  quotaUsed,
  tooMany,
  unfinishedMs,
  unusedMs,
} from './attachment.ts'
import { inChunks, moveToObject } from './contents.ts'
import type { AttachmentContext } from './context.ts'
import { mediaTypeOf, sampleBytes } from './media-type.ts'
import * as store from './store.ts'

/** A file as it comes from a form. */
export interface ArrivingFile {
  readonly name: string
  readonly declaredType: string
  readonly content: AsyncIterable<Buffer>
}

/** How a door hands over the file that it receives, and what it checks again when all of it is here. */
export interface Arrival {
  receive<T>(take: (file: ArrivingFile) => Promise<T>): Promise<T>
  /** Throws when the credential has ended meanwhile: a file may take a while. */
  requireStillAllowed(): Promise<void>
  /** Whether the call has an Idempotency-Key: it may repeat one that was made while the request was open. */
  readonly isRepeatable: boolean
  /** What the file comes to at least, by what its sender announced. */
  readonly leastBytes: number
  /** The call's Idempotency-Key, with the hash of what arrived. */
  idempotencyOf(file: Attachment): Idempotency | null
}

/** Adds a file to an open request. Nobody sees anything of it before all of it is there. */
export async function addAttachment(
  context: AttachmentContext,
  by: Caller,
  requestId: string,
  { receive, requireStillAllowed, isRepeatable, leastBytes, idempotencyOf }: Arrival,
): Promise<CreatedOnce<Attachment>> {
  const { requests, db, objects } = context
  if (isRepeatable) await requests.requireVisible(by.principal, requestId)
  else await requests.requireOpen(by.principal, requestId)
  let begun: store.Begun | null = null
  try {
    const attachment = await receive(async (file) => {
      const room = await roomFor(context, by, leastBytes)
      begun = await begin(context, by, requestId, file.name)
      return gather(context, begun, file, room)
    })
    if (begun === null) throw new Error('a file was received that was never begun')
    await requireStillAllowed()
    if (objects !== null)
      await moveToObject(db, objects, { ...(begun as store.Begun), size: attachment.size }, attachment.sha256)
    const made = await finish(context, by, begun, attachment, idempotencyOf(attachment))
    if (made.replayed) await giveUp(context, begun)
    return made
  } catch (error) {
    if (begun !== null) await giveUp(context, begun)
    throw error
  }
}

/** What the files of the organization may still come to, so that what cannot be kept is refused before it has all arrived. */
async function roomFor({ db, limits }: AttachmentContext, { principal }: Caller, leastBytes: number): Promise<number> {
  const { organizationId } = principal
  const room = limits.organizationBytes - (await store.used(db.within({ organizationId }), organizationId))
  if (leastBytes > room) throw quotaUsed(limits.organizationBytes)
  return room
}

/** How many files that no answer has may be there beside each other, from this caller. */
const mostOf = ({ principal }: Caller, { perRequest }: AttachmentContext['limits']): number =>
  principal.kind === 'agent' ? perRequest : mostUnused

async function begin(
  { db, clock, limits, objects }: AttachmentContext,
  by: Caller,
  requestId: string,
  name: string,
): Promise<store.Begun> {
  const { principal } = by
  const { organizationId } = principal
  const { kind, id } = actorOf(principal)
  const storage = objects === null ? 'database' : 's3'
  const begun = {
    organizationId,
    id: newId(),
    requestId: requestId.toLowerCase(),
    addedBy: { kind, id },
    name,
    storage,
  } as const
  const now = clock.now()
  const rows = db.within({ organizationId })
  const most = mostOf(by, limits)
  if ((await store.countOf(rows, begun, { withUnfinished: true })) >= most) throw tooMany(most)
  await store.begin(rows, begun, now, new Date(now.getTime() + unfinishedMs))
  return begun
}

/** Writes of chunks at once: each takes one of the connections that every other call needs, too. */
const inTurn = createSlots(3)

async function gather(
  { db, limits }: AttachmentContext,
  begun: store.Begun,
  { name, declaredType, content }: ArrivingFile,
  room: number,
): Promise<Attachment> {
  const rows = db.within({ organizationId: begun.organizationId })
  const digest = createHash('sha256')
  let size = 0
  let number = 0
  let mediaType: string | null = null
  for await (const chunk of inChunks(content)) {
    // Before anything of it is kept.
    mediaType ??= await mediaTypeOf(declaredType, chunk.subarray(0, sampleBytes))
    digest.update(chunk)
    size += chunk.length
    if (size > room) throw quotaUsed(limits.organizationBytes)
    const at = number
    await inTurn(() => store.addChunk(rows, begun, at, chunk))
    number += 1
  }
  mediaType ??= await mediaTypeOf(declaredType, Buffer.alloc(0))
  return { id: begun.id, name, mediaType, size, sha256: digest.digest('hex') }
}

/** One commit makes it visible, with its event and, from an agent, the new digest of what is asked. */
function finish(
  context: AttachmentContext,
  by: Caller,
  begun: store.Begun,
  attachment: Attachment,
  idempotency: Idempotency | null,
): Promise<CreatedOnce<Attachment>> {
  const { db, clock, limits, requests, report } = context
  const { organizationId, requestId } = begun
  return inTransaction(db, { organizationId }, async (tx) => {
    // Once more behind the lock, where two calls with one key meet.
    const earlier = await repeated(tx, begun, idempotency)
    if (earlier !== null) return earlier
    const open = await requests.lockOpen(tx, by, requestId)
    const first = await repeated(tx, begun, idempotency)
    if (first !== null) return first
    const most = mostOf(by, limits)
    if ((await store.countOf(tx, begun, { withUnfinished: false })) >= most) throw tooMany(most)
    const now = clock.now()
    const isQuestion = by.principal.kind === 'agent'
    const discardAt = isQuestion ? null : new Date(now.getTime() + unusedMs)
    if (!(await store.finish(tx, organizationId, { attachment, now, discardAt, idempotency }))) {
      throw new Error('an upload was given up before it ended')
    }
    if ((await store.use(tx, organizationId, attachment.size)) > limits.organizationBytes) {
      throw quotaUsed(limits.organizationBytes)
    }
    if (begun.storage === 's3') await store.dropChunks(tx, begun)
    if (isQuestion) await open.attach(attachmentJson(attachment))
    else await report(tx, [factOfDraft('attachment.added', by, requestId, attachment, now)])
    return { made: attachment, replayed: false }
  })
}

async function repeated(
  tx: Tx,
  begun: store.Begun,
  idempotency: Idempotency | null,
): Promise<CreatedOnce<Attachment> | null> {
  const earlier = idempotency && (await store.byIdempotencyKey(tx, begun, idempotency.key))
  if (earlier === null) return null
  if (!idempotency?.isOf(earlier.hash)) throw idempotencyMismatch()
  return { made: earlier.made, replayed: true }
}

/** A file for an answer: it is not part of what is asked. */
export function factOfDraft(
  kind: 'attachment.added' | 'attachment.removed',
  by: Caller,
  requestId: string,
  { id, name, mediaType, size, sha256 }: Attachment,
  occurredAt: Date,
) {
  const file = { attachment_id: id, media_type: mediaType, size, sha256 }
  const change = kind === 'attachment.added' ? { after: file } : { before: file }
  return factBy(byCaller(by), kind, ['request', requestId], { ...change, erasable: { name }, occurredAt })
}

/** What cannot be deleted now is swept later. */
async function giveUp({ db, log }: AttachmentContext, begun: store.Begun): Promise<void> {
  await store
    .giveUp(db.within({ organizationId: begun.organizationId }), begun)
    .catch((error: unknown) =>
      log.warn({ err: error, attachment_id: begun.id }, 'an upload that failed is left to be swept'),
    )
}
