import type { Actor } from '../facts/fact.ts'
import { later } from '../platform/clock.ts'
import type { JsonText } from '../platform/json.ts'
import { type Change, type Consultation, type RequestFact, requireAsAsked, requirePending } from './consultation.ts'
import { digestOf } from './digest.ts'

/** The files that an agent adds to what it asks. */

/** Throws 409 unless files can still be added to it, or removed. */
export function requireOpen(before: Consultation, now: Date): void {
  requirePending(before, 'change its attachments', now)
}

/** A file, as requests and their digests name it. */
export interface AttachedFile {
  readonly id: string
  readonly name: string
  readonly media_type: string
  readonly size: number
  readonly sha256: string
}

export const attachmentsOf = ({ attachments }: Pick<Consultation, 'attachments'>): readonly AttachedFile[] =>
  attachments === null ? [] : (JSON.parse(attachments) as AttachedFile[])

/**
 * The agent changes the files of what it asks, and so its digest: who answers with the digest of what they were shown before is
 * refused, and the certificate of a decision names all the files that were there.
 */
export function changeAttachments(
  before: Consultation,
  actor: Actor,
  file: AttachedFile,
  kind: 'attachment.added' | 'attachment.removed',
  now: Date,
): Change {
  requireOpen(before, now)
  requireAsAsked(before)
  const others = attachmentsOf(before).filter(({ id }) => id !== file.id)
  const files = kind === 'attachment.added' ? [...others, file] : others
  const attachments = files.length === 0 ? null : (JSON.stringify(files) as JsonText)
  const digest = digestOf({ ...before, attachments })
  const after: Consultation = { ...before, attachments, digest, updatedAt: later(before, now) }
  const { id, name, ...said } = file
  const change = { attachment_id: id, ...said }
  const isAdded = kind === 'attachment.added'
  const fact: RequestFact = {
    kind,
    actor,
    before: { digest: before.digest, ...(isAdded ? {} : change) },
    after: { digest, ...(isAdded ? change : {}) },
    erasable: { name },
  }
  return { before, after, facts: [fact] }
}
