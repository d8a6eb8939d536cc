import type { Actor } from '../facts/fact.ts'
import { later } from '../platform/clock.ts'
import type { Idempotency } from '../platform/idempotency.ts'
import { refusal } from '../platform/problem.ts'
import { type OpenedCertificate, requireProven } from './certificate.ts'
import { answerDigests, type Change, type Consultation, isHeld, requireAsAsked, type State } from './consultation.ts'
import { alreadyCompleted } from './outcome.ts'
import type { Decision } from './questions/question.ts'
import { markOf, repeated, unchanged } from './repetition.ts'

export const notApproved = refusal(
  409,
  'consultation.not_approved',
  (state: State, decision: Decision | null) => ({
    detail:
      state === 'pending'
        ? 'The request is still pending: wait for the decision. Only an approval can be used.'
        : `The request was not approved (${decision ?? state}), so there is nothing to use.`,
    extra: { state, decision },
  }),
  'responded',
  'reject',
)

export const digestDiffers = refusal(
  412,
  'consultation.digest_differs',
  (digest: string) => ({
    detail:
      'What you are about to do is not what was approved: its digest differs. Ask again, for what you want to do.',
    extra: { digest },
  }),
  '5fc2b16b9a4c4ff7b7a0d1f4d3a2c1e0b9f8e7d6c5b4a39281706f5e4d3c2b1a',
)

/** Its certificate is good as a signature, and counts no more. */
export const supersededRevision = refusal(
  412,
  'consultation.revision_superseded',
  (revision: number, current: number) => ({
    detail:
      `What you are about to do is what revision ${revision} asked, and the agent has revised the request since: it is at revision ` +
      `${current}. What was decided on revision ${revision} does not count any more. Read the request again.`,
    extra: { revision, current_revision: current },
  }),
  1,
  2,
)

export const alreadyRedeemed = refusal(
  409,
  'consultation.already_redeemed',
  (state: State, at: Date) => ({
    detail: `This approval was already used, at ${at.toISOString()}. An approval can be used once. Ask again.`,
    extra: { state, redeemed_at: at },
  }),
  'callback_sent',
  new Date('2026-01-31T09:06:00Z'),
)

export const approvalExpired = refusal(
  409,
  'consultation.approval_expired',
  (state: State, at: Date) => ({
    detail: `This approval expired at ${at.toISOString()}. Ask again.`,
    extra: { state, expires_at: at },
  }),
  'callback_sent',
  new Date('2026-02-01T09:05:00Z'),
)

export const erased = refusal(
  409,
  'consultation.erased',
  (state: State, at: Date) => ({
    detail: `What was approved was erased at ${at.toISOString()}, so it can no longer be compared with what you are about to do. Ask again.`,
    extra: { state },
  }),
  'callback_sent',
  new Date('2026-01-31T09:06:00Z'),
)

/** Anyone who has a revoked key can make certificates that look like this one. */
export const certificateRevoked = refusal(
  409,
  'consultation.certificate_revoked',
  (state: State) => ({
    detail: 'The key that signed this approval is revoked, so the approval is no longer proven. Ask again.',
    extra: { state },
  }),
  'callback_sent',
)

/**
 * Uses an approval: exactly once, before it expires, while its certificate counts and proves it, and for what was approved if `digest`
 * says what that is. A caller that loses the reply learns with the same Idempotency-Key that this very call used it; without one it
 * must assume that it was used: what matters here is at most once.
 */
export function redeem(
  before: Consultation,
  actor: Actor,
  digest: string | null,
  now: Date,
  opened: OpenedCertificate,
  idempotency: Idempotency | null = null,
): Change {
  requireAsAsked(before)
  requireProven(before, opened)
  const certificateExpiresAt = approvalExpiry(before)
  if (digest !== null && digest !== before.digest) throw digestDiffers(before.digest)
  if (repeated(before.redeemingCall, idempotency) !== null) return unchanged(before, before)
  if (before.outcome !== null) throw alreadyCompleted(before.state)
  if (before.redeemedAt !== null) throw alreadyRedeemed(before.state, before.redeemedAt)
  if (certificateExpiresAt <= now) throw approvalExpired(before.state, certificateExpiresAt)
  if (opened.isRevoked) throw certificateRevoked(before.state)
  if (before.erasedAt !== null) throw erased(before.state, before.erasedAt)
  const { response } = before
  // With the person's texts went the arguments that they had edited: null would mean those that were proposed.
  if (response?.erasedAt != null && opened.claims?.args_digest !== answerDigests(before).args_digest) {
    throw erased(before.state, response.erasedAt)
  }
  const updatedAt = later(before, now)
  const after: Consultation = {
    ...before,
    redeemedAt: now,
    redeemingCall: markOf(idempotency, { at: now, updatedAt }),
    updatedAt,
  }
  const auditedFields = { redeemed_at: now, revision: before.revision }
  return {
    before,
    after,
    facts: [{ kind: 'request.redeemed', actor, before: { redeemed_at: null }, after: auditedFields }],
  }
}

/** Throws 409 unless the request was approved. */
function approvalExpiry(consultation: Consultation): Date {
  const { state, response, certificateExpiresAt } = consultation
  if (isHeld(consultation)) throw notApproved(state, null)
  if (response?.decision === 'approve' && certificateExpiresAt !== null) return certificateExpiresAt
  throw notApproved(state, response?.decision ?? null)
}
