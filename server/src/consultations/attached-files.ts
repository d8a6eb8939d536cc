import type { Actor } from '../facts/fact.ts'
import type { Principal } from '../identity/principal.ts'
import { later } from '../platform/clock.ts'
import type { JsonText } from '../platform/json.ts'
import {
  type Change,
  type Consultation,
  heldDecision,
  isHeld,
  nextActionOf,
  noDecision,
  type RequestFact,
  requireAsAsked,
  requirePending,
  voidedAnswer,
} from './consultation.ts'
import { digestOf } from './digest.ts'

/** The files that an agent adds to what it asks. */

/** Throws 409 unless files can still be added to it, or removed. */
export function requireOpen(before: Consultation, now: Date, by: Principal['kind']): void {
  // An agent sees no decision that is held back.
  if (by === 'agent' && isHeld(before)) return
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

type Kind = 'attachment.added' | 'attachment.removed'

/** The files of the request once this one is added or removed, as its row and its digest have them. */
export function filesAfter(before: Consultation, file: AttachedFile, kind: Kind): JsonText | null {
  const others = attachmentsOf(before).filter(({ id }) => id !== file.id)
  const files = kind === 'attachment.added' ? [...others, file] : others
  return files.length === 0 ? null : (JSON.stringify(files) as JsonText)
}

/**
 * The agent changes the files of what it asks, and so its digest: who answers with the digest of what they were shown before is
 * refused, and the certificate of a decision names all the files that were there. A decision that is held back was on another
 * question, so it becomes void.
 */
export function changeAttachments(
  before: Consultation,
  actor: Actor,
  file: AttachedFile,
  kind: Kind,
  now: Date,
): Change {
  requireOpen(before, now, 'agent')
  requireAsAsked(before)
  const attachments = filesAfter(before, file, kind)
  const digest = digestOf({ ...before, attachments })
  const open: Consultation = isHeld(before) ? { ...before, ...noDecision } : before
  const after = { ...open, nextActionAt: nextActionOf(open), attachments, digest, updatedAt: later(before, now) }
  const { id, name, ...said } = file
  const change = { attachment_id: id, ...said }
  const isAdded = kind === 'attachment.added'
  const fact: RequestFact = {
    kind,
    actor,
    before: { digest: before.digest, ...heldDecision(before), ...(isAdded ? {} : change) },
    after: { digest, ...(isAdded ? change : {}) },
    erasable: { name },
  }
  return { before, after, facts: [fact], ...(isHeld(before) ? voidedAnswer(before, now) : {}) }
}
