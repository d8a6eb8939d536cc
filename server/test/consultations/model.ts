/** What a request does, said a second time and as briefly as possible: the service is compared with it. Times in milliseconds. */

export const decisions = ['approve', 'reject', 'request_changes'] as const
export type Decision = (typeof decisions)[number]

export interface Known {
  readonly state: 'pending' | 'responded' | 'timeout' | 'cancelled'
  readonly dueAt: number | null
  readonly answer: { readonly by: number; readonly decision: Decision; readonly at: number } | null
  readonly isRedeemed: boolean
}

export type Act =
  | { readonly kind: 'respond'; readonly by: number; readonly decision: Decision; readonly revision?: number }
  | { readonly kind: 'cancel' }
  | { readonly kind: 'redeem' }
  | { readonly kind: 'sweep' }

/** `200`, or the status and code of a refusal; nothing for what has no reply. */
export type Told = string

const approvalMs = 24 * 3_600_000
export const asked = (dueAt: number | null): Known => ({ state: 'pending', dueAt, answer: null, isRedeemed: false })

export function predict(known: Known, act: Act, now: number): readonly [Known, Told] {
  const isOverdue = known.dueAt !== null && known.dueAt <= now
  const closedAs = known.state === 'pending' ? (isOverdue ? 'timeout' : null) : known.state
  const refused = (told: Told) => [known, told] as const
  const done = (changed: Partial<Known>) => [{ ...known, ...changed }, '200'] as const
  switch (act.kind) {
    case 'sweep':
      return known.state === 'pending' && isOverdue ? [{ ...known, state: 'timeout' }, ''] : refused('')
    case 'respond':
      if (closedAs !== null) return refused(`409 consultation.already_${closedAs}`)
      if ((act.revision ?? 1) !== 1) return refused('412 consultation.revision_changed')
      return done({ state: 'responded', answer: { by: act.by, decision: act.decision, at: now } })
    case 'cancel':
      return closedAs === null ? done({ state: 'cancelled' }) : refused(`409 consultation.already_${closedAs}`)
    case 'redeem':
      if (known.answer?.decision !== 'approve') return refused('409 consultation.not_approved')
      if (known.isRedeemed) return refused('409 consultation.already_redeemed')
      if (known.answer.at + approvalMs <= now) return refused('409 consultation.approval_expired')
      return done({ isRedeemed: true })
  }
}

/** What the acts may have led to, if they happened one after the other in some order in which each was told this. */
export function outcomes(known: Known, acts: readonly (readonly [Act, Told])[], now: number): readonly Known[] {
  if (acts.length === 0) return [known]
  return acts.flatMap(([act, told], place) => {
    const [after, reply] = predict(known, act, now)
    return reply === told ? outcomes(after, acts.toSpliced(place, 1), now) : []
  })
}
