import { createHash } from 'node:crypto'
import type { Db } from '../platform/database/db.ts'
import { type Attachment, type StoredAttachment, storeUnavailable } from './attachment.ts'
import type { ByteRange } from './byte-range.ts'
import type { ObjectStore } from './s3.ts'
import * as store from './store.ts'

/**
 * Where contents are. Every upload is gathered in PostgreSQL, chunk by chunk in transactions of their own, so that no transaction
 * is open while its sender trickles; what belongs into S3 is moved there once it has all arrived, when its size and digest are
 * known, which S3 wants to be told first.
 */

/** One row. Two of them are held for each upload under way. */
export const chunkBytes = 262_144

/** The key of its object. */
export const keyOf = ({ organizationId, id }: { readonly organizationId: string; readonly id: string }): string =>
  `${organizationId}/${id}`

/** Cuts a stream into chunks. */
export async function* inChunks(content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let chunk = Buffer.allocUnsafe(chunkBytes)
  let length = 0
  for await (const piece of content) {
    for (let at = 0; at < piece.length; ) {
      const copied = piece.copy(chunk, length, at)
      at += copied
      length += copied
      if (length < chunkBytes) continue
      yield chunk
      // Not the same again: the chunk may still be on its way to PostgreSQL.
      chunk = Buffer.allocUnsafe(chunkBytes)
      length = 0
    }
  }
  if (length > 0) yield chunk.subarray(0, length)
}

type Placed = Pick<StoredAttachment, 'organizationId' | 'id'> & Pick<Attachment, 'size'>

/** What is in PostgreSQL of it, chunk by chunk; a statement each, so that a slow reader holds no connection. */
export async function* chunksOf(db: Db, placed: Placed, range: ByteRange | null = null): AsyncGenerator<Buffer> {
  const { organizationId, size } = placed
  if (size === 0) return
  const rows = db.within({ organizationId })
  const { first, last } = range ?? { first: 0, last: size - 1 }
  for (let number = Math.floor(first / chunkBytes); number * chunkBytes <= last; number += 1) {
    const chunk = await store.readChunk(rows, placed, number)
    // Erased or removed meanwhile: its reader must not take a part for the whole.
    if (chunk === null) throw new Error(`chunk ${number} of the attachment ${placed.id} is not there`)
    const begin = number * chunkBytes
    yield chunk.subarray(Math.max(0, first - begin), Math.min(chunk.length, last - begin + 1))
  }
}

/** The content of a finished file. */
export async function openContent(
  db: Db,
  objects: ObjectStore | null,
  attachment: StoredAttachment,
  range: ByteRange | null,
): Promise<AsyncIterable<Buffer>> {
  const content =
    attachment.storage === 'database' || attachment.size === 0
      ? chunksOf(db, attachment, range)
      : await required(objects).get(keyOf(attachment), range)
  return range === null ? proven(content, attachment) : content
}

/** Moves what has arrived into S3. */
export async function moveToObject(db: Db, objects: ObjectStore | null, placed: Placed, sha256: string): Promise<void> {
  if (placed.size > 0) await required(objects).put(keyOf(placed), placed.size, sha256, chunksOf(db, placed))
}

function required(objects: ObjectStore | null): ObjectStore {
  if (objects === null) throw storeUnavailable(new Error('the file is in S3, and S3_ENDPOINT is not set'))
  return objects
}

/** All of it, the last piece only where its digest is the one it was added with: otherwise the reply breaks off. */
async function* proven(content: AsyncIterable<Buffer>, { id, sha256 }: StoredAttachment): AsyncGenerator<Buffer> {
  const digest = createHash('sha256')
  let held: Buffer | null = null
  for await (const piece of content) {
    digest.update(piece)
    if (held !== null) yield held
    held = piece
  }
  if (digest.digest('hex') !== sha256) throw new Error(`the content of the attachment ${id} is not what was added`)
  if (held !== null) yield held
}
