/** What a request does, said a second time and as briefly as possible: the service is compared with it. Times in milliseconds. */

export const decisions = ['approve', 'reject', 'request_changes'] as const
export type Decision = (typeof decisions)[number]

export interface Known {
  readonly state: 'pending' | 'responded' | 'timeout' | 'cancelled' | 'completed'
  readonly revision: number
  readonly dueAt: number | null
  readonly holdMs: number
  readonly answer: { readonly by: number; readonly decision: Decision; readonly at: number } | null
  /** While the answer is held back. */
  readonly heldUntil: number | null
  readonly outcome: string | null
  readonly isRedeemed: boolean
}

export type Act =
  | { readonly kind: 'respond'; readonly by: number; readonly decision: Decision; readonly revision?: number }
  | { readonly kind: 'undo'; readonly by: number }
  | { readonly kind: 'outcome'; readonly status: 'executed' | 'failed' }
  | { readonly kind: 'revise'; readonly minutes: number | null; readonly holdMs: number; readonly revision?: number }
  | { readonly kind: 'cancel' }
  | { readonly kind: 'redeem' }
  | { readonly kind: 'sweep' }

/** `200`, or the status and code of a refusal; nothing for what has no reply. */
export type Told = string

const approvalMs = 24 * 3_600_000
const mostRevisions = 20
export const asked = (dueAt: number | null, holdMs: number): Known => ({
  state: 'pending',
  revision: 1,
  dueAt,
  holdMs,
  answer: null,
  heldUntil: null,
  outcome: null,
  isRedeemed: false,
})

export function predict(known: Known, act: Act, now: number): readonly [Known, Told] {
  const { state, answer, heldUntil, dueAt } = known
  const isHeld = heldUntil !== null
  const isOverdue = !isHeld && dueAt !== null && dueAt <= now
  const closedAs =
    state !== 'pending'
      ? state === 'completed'
        ? 'responded'
        : state
      : isOverdue
        ? 'timeout'
        : isHeld
          ? 'responded'
          : null
  const decision = isHeld ? null : (answer?.decision ?? null)
  const refused = (told: Told) => [known, told] as const
  const done = (changed: Partial<Known>) => [{ ...known, ...changed }, '200'] as const
  switch (act.kind) {
    case 'sweep':
      if (state !== 'pending') return refused('')
      if (isHeld) return heldUntil <= now ? [{ ...known, state: 'responded', heldUntil: null }, ''] : refused('')
      return isOverdue ? [{ ...known, state: 'timeout' }, ''] : refused('')
    case 'respond': {
      if (closedAs !== null) return refused(`409 consultation.already_${closedAs}`)
      if ((act.revision ?? known.revision) !== known.revision) return refused('412 consultation.revision_changed')
      const given = { by: act.by, decision: act.decision, at: now }
      if (known.holdMs > 0) return done({ answer: given, heldUntil: now + known.holdMs })
      return done({ state: 'responded', answer: given })
    }
    case 'undo':
      if (answer === null) return refused('409 consultation.nothing_to_undo')
      if (!isHeld || heldUntil <= now) return refused('409 consultation.already_released')
      if (answer.by !== act.by) return refused('403 consultation.not_the_decider')
      return done({ answer: null, heldUntil: null })
    case 'revise':
      if (closedAs !== null && !isHeld && decision !== 'request_changes')
        return refused(`409 consultation.already_${closedAs}`)
      if ((act.revision ?? known.revision) !== known.revision) return refused('412 consultation.revision_changed')
      if (known.revision >= mostRevisions) return refused('409 consultation.too_many_revisions')
      return done({
        ...asked(act.minutes === null ? null : now + act.minutes * 60_000, act.holdMs),
        revision: known.revision + 1,
      })
    case 'cancel':
      if (closedAs !== null && !isHeld) return refused(`409 consultation.already_${closedAs}`)
      return done({ state: 'cancelled', answer: null, heldUntil: null })
    case 'outcome':
      if (known.outcome !== null)
        return known.outcome === act.status ? done({}) : refused('409 consultation.already_completed')
      if (decision === null || decision === 'request_changes') return refused('409 consultation.nothing_to_report')
      return done({ state: 'completed', outcome: act.status })
    case 'redeem':
      if (decision !== 'approve' || answer === null) return refused('409 consultation.not_approved')
      if (known.outcome !== null) return refused('409 consultation.already_completed')
      if (known.isRedeemed) return refused('409 consultation.already_redeemed')
      if (answer.at + approvalMs <= now) return refused('409 consultation.approval_expired')
      return done({ isRedeemed: true })
  }
}

/** What the agent sees: nothing of an answer that is held back. */
export const seenByAgent = (known: Known): Known => (known.heldUntil === null ? known : { ...known, answer: null })

/** What the acts may have led to, if they happened one after the other in some order in which each was told this. */
export function outcomes(known: Known, acts: readonly (readonly [Act, Told])[], now: number): readonly Known[] {
  if (acts.length === 0) return [known]
  return acts.flatMap(([act, told], place) => {
    const [after, reply] = predict(known, act, now)
    return reply === told ? outcomes(after, acts.toSpliced(place, 1), now) : []
  })
}
