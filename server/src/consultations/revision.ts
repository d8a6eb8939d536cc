import type { Actor } from '../facts/fact.ts'
import { later } from '../platform/clock.ts'
import { refusal } from '../platform/problem.ts'
import {
  askedFact,
  asking,
  type Change,
  type Consultation,
  type ConsultationCore,
  heldDecision,
  isHeld,
  isOverdue,
  type Proposal,
  type RequestFact,
  requireAsAsked,
  requirePending,
  revisionChanged,
  voidedAnswer,
} from './consultation.ts'

/** A new proposal in the place of the one that was asked: by its agent, while it is open or after changes were asked for. */

/** Each revision keeps up to a megabyte. An agent that needs more of them makes a new request. */
export const mostRevisions = 20

export const tooManyRevisions = refusal(409, 'consultation.too_many_revisions', {
  detail: `A request has at most ${mostRevisions} revisions, and this one has as many. Ask again, with a new request.`,
})

export interface Reviser {
  readonly actor: Actor
  readonly apiKeyId: string
}

/** Whether its agent may ask something else. */
export function isRevisable(consultation: ConsultationCore, now: Date): boolean {
  return consultation.revision < mostRevisions && isOpenToAgent(consultation, now)
}

/** An agent sees no decision that is held back. */
function isOpenToAgent(consultation: ConsultationCore, now: Date): boolean {
  const { state, response, erasedAt } = consultation
  if (state === 'pending') return !isOverdue(consultation, now)
  return state !== 'completed' && response?.decision === 'request_changes' && erasedAt === null
}

/**
 * Throws 409 unless it is open or was sent back for changes, and 412 when it is at another revision than `meant`: then another
 * program of the agent was first.
 */
export function requireRevisable(before: Consultation, meant: number | undefined, now: Date): void {
  if (!isOpenToAgent(before, now)) requirePending(before, 'revise', now)
  if (meant !== undefined && meant !== before.revision) throw revisionChanged(before.revision, meant)
  if (before.revision >= mostRevisions) throw tooManyRevisions()
  requireAsAsked(before)
}

/**
 * The whole question is another one, at the next revision: what the proposal leaves out is gone, but for the files, which belong
 * to the request. A decision that is held back was on the old question, so it becomes void.
 */
export function revise(
  before: Consultation,
  proposal: Proposal,
  { actor, apiKeyId }: Reviser,
  meant: number | undefined,
  now: Date,
): Change {
  requireRevisable(before, meant, now)
  const at = later(before, now)
  const after: Consultation = {
    ...before,
    ...asking(proposal, before.attachments, now),
    revision: before.revision + 1,
    revisedAt: at,
    revisingKeyId: apiKeyId,
    updatedAt: at,
  }
  const { after: asked, erasable } = askedFact(after)
  const { state, revision, digest } = before
  const fact: RequestFact = {
    kind: 'request.revised',
    actor,
    before: { state, revision, digest, ...heldDecision(before) },
    after: { ...asked, revision: after.revision },
    erasable,
  }
  return { before, after, facts: [fact], ...(isHeld(before) ? voidedAnswer(before, now) : {}) }
}
