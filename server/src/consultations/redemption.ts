import type { Actor } from '../facts/fact.ts'

import { later } from '../platform/clock.ts'
import { Problem } from '../platform/problem.ts'
import type { Change, Consultation } from './consultation.ts'

/**
 * Uses an approval: exactly once, before it expires, while its certificate counts, and for what was approved if `digest`
 * says what that is. Whoever loses the reply must take the approval for used: it is at most once that matters here.
 */
export function redeem(
  before: Consultation,
  actor: Actor,
  digest: string | null,
  now: Date,
  isRevoked: (certificate: string) => boolean,
): Change {
  const { certificate, certificateExpiresAt } = approvalOf(before)
  if (digest !== null && digest !== before.digest) {
    throw new Problem(
      412,
      'consultation.digest_differs',
      'What you are about to do is not what was approved: its digest differs. Ask for what you want to do.',
      { extra: { digest: before.digest } },
    )
  }
  if (before.redeemedAt !== null) {
    throw new Problem(
      409,
      'consultation.already_redeemed',
      `This approval was already used, at ${before.redeemedAt.toISOString()}. It is good for one time: ask again.`,
      { extra: { state: before.state, redeemed_at: before.redeemedAt } },
    )
  }
  if (certificateExpiresAt <= now) {
    throw new Problem(
      409,
      'consultation.approval_expired',
      `This approval could be used until ${certificateExpiresAt.toISOString()}. Ask again.`,
      { extra: { state: before.state, expires_at: certificateExpiresAt } },
    )
  }
  if (isRevoked(certificate)) {
    // Whoever has the key can make certificates as good as this one, so that it proves no decision any more.
    const detail = 'The key that signed this approval is revoked, so nothing proves it any more. Ask again.'
    throw new Problem(409, 'consultation.certificate_revoked', detail, { extra: { state: before.state } })
  }
  const after: Consultation = { ...before, redeemedAt: now, updatedAt: later(before, now) }
  const shown = { redeemed_at: now, revision: before.revision }
  return {
    before,
    after,
    facts: [{ kind: 'request.redeemed', actor, before: { redeemed_at: null }, after: shown }],
  }
}

/** Every decision has a certificate. */
function approvalOf({ state, response, certificate, certificateExpiresAt }: Consultation) {
  if (response?.decision === 'approve' && certificate !== null && certificateExpiresAt !== null) {
    return { certificate, certificateExpiresAt }
  }
  const detail =
    state === 'pending'
      ? 'The request is still pending: wait for the decision. Only an approval can be used.'
      : `The request was not approved (${response?.decision ?? state}), so there is nothing to use.`
  throw new Problem(409, 'consultation.not_approved', detail, {
    extra: { state, decision: response?.decision ?? null },
  })
}
