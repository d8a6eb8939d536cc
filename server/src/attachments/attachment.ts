import type { Actor } from '../facts/fact.ts'
import { refusal } from '../platform/problem.ts'

/** The rules of files that agents add to what they ask, and people to what they answer: pure. */

/** A file as requests, answers and digests name it. */
export interface Attachment {
  readonly id: string
  readonly name: string
  readonly mediaType: string
  readonly size: number
  /** In hex. */
  readonly sha256: string
}

/** A finished file as it is stored. */
export interface StoredAttachment extends Attachment {
  readonly organizationId: string
  readonly requestId: string
  readonly addedBy: Pick<Actor, 'kind' | 'id'>
  readonly storage: Storage
  /** An answer has taken it. */
  readonly isSealed: boolean
}

export type Storage = 'database' | 's3'

/** An upload that did not end by then has died with its process: no call may take nearly as long. */
export const unfinishedMs = 3_600_000
/** A file that a person added, and that no answer took, or whose answer became void. */
export const unusedMs = 7 * 86_400_000

/** Files of one person for one request that no answer has: as many as an answer may have. */
export const mostUnused = 10

export interface AttachmentLimits {
  readonly bytes: number
  /** Files of what is asked. */
  readonly perRequest: number
  /** All files of an organization together. */
  readonly organizationBytes: number
}

export const attachmentNotFound = refusal(404, 'attachment.not_found', 'Attachment not found')

export const tooLarge = refusal(
  413,
  'attachment.too_large',
  (limit: number) => `The file is larger than ${limit} bytes, which is the limit here. Send a smaller one.`,
  26_214_400,
)

export const tooMany = refusal(
  409,
  'attachment.too_many',
  (limit: number) =>
    `You can add at most ${limit} attachments to a request. Remove one, or put several files into an archive.`,
  20,
)

export const quotaUsed = refusal(
  409,
  'attachment.quota_used',
  (limit: number) =>
    `The attachments of this organization would be more than ${limit} bytes together. Remove some, or ask the operator for more.`,
  10_737_418_240,
)

export const isSealed = refusal(
  409,
  'attachment.sealed',
  'This file is part of an answer that was given, so it stays. Only erasing the request removes it.',
)

export const storeUnavailable = refusal(503, 'attachment.store_unavailable', (cause?: unknown) => ({
  detail: 'The store of attachments is not responding right now. Nothing was changed; try again in a moment.',
  headers: { 'retry-after': '5' },
  cause,
}))

/**
 * Whether this caller may see it: what is asked and what was answered, and a file of one's own before its answer. `withheld`: those of
 * an answer that the caller must not know of yet.
 */
export function isVisible(
  { id, addedBy, isSealed: sealed }: StoredAttachment,
  caller: Pick<Actor, 'kind' | 'id'>,
  withheld: readonly string[],
): boolean {
  return addedBy.kind === 'agent' || (sealed && !withheld.includes(id)) || isOwn({ addedBy }, caller)
}

export function isOwn(
  { addedBy }: Pick<StoredAttachment, 'addedBy'>,
  { kind, id }: Pick<Actor, 'kind' | 'id'>,
): boolean {
  return addedBy.kind === kind && addedBy.id === id
}

/** As the wire has it, and digests. */
export type AttachmentJson = ReturnType<typeof attachmentJson>

export function attachmentJson({ id, name, mediaType, size, sha256 }: Attachment) {
  return { id, name, media_type: mediaType, size, sha256 }
}
