import type { Actor } from '../facts/fact.ts'
import { later } from '../platform/clock.ts'
import { refusal } from '../platform/problem.ts'
import {
  type Change,
  type Consultation,
  type ConsultationCore,
  close,
  heldDecision,
  isHeld,
  nextActionOf,
  noDecision,
  type Responder,
  type State,
  voidedAnswer,
} from './consultation.ts'

/**
 * The hold: the time between a decision and its release to the agent, in which the person who decided can take it back. The
 * decision is recorded, people see it and nobody else can answer; the agent sees a pending request on every channel. Its
 * `updated_at` moves, so an agent that polls can tell that something happened, and not what.
 */

/** While the agent is paused, nothing is released, and the hold is prolonged by this much again and again. */
const prolongedMs = 15_000

export const notYours = refusal(
  403,
  'consultation.not_the_decider',
  'Only the person who decided can take the decision back. Ask them, or pause the agent, which keeps the decision from it.',
)

export const nothingToUndo = refusal(
  409,
  'consultation.nothing_to_undo',
  (state: State) => ({
    detail:
      'There is no decision to take back. Somebody may have taken it back already, or the request was closed without one.',
    extra: { state },
  }),
  'pending',
)

export const released = refusal(
  409,
  'consultation.already_released',
  (state: State, at: Date | null) => ({
    detail: 'The hold is over, so the decision cannot be taken back. Pause the agent if it must not act on it.',
    extra: { state, released_at: at },
  }),
  'callback_sent',
  new Date('2026-01-31T09:05:05Z'),
)

/** A request as its agent may see it: nothing shows that a decision is held back. */
export function asAgentSees(consultation: Consultation): Consultation {
  if (!isHeld(consultation)) return consultation
  const { responseTruncated: _, ...others } = consultation
  return { ...others, ...noDecision }
}

/** As people see it. Its certificate would prove a decision that can still be taken back. */
export function asPeopleSee(consultation: Consultation): Consultation {
  return isHeld(consultation) ? { ...consultation, certificate: null, certificateExpiresAt: null } : consultation
}

export function mayUndo({ response, heldUntil }: ConsultationCore, { userId }: { userId: string }, now: Date): boolean {
  return heldUntil !== null && heldUntil > now && response?.responderId === userId
}

/** The decider takes the decision back: the request is pending again, as if it was never answered but for the audit. */
export function undo(before: Consultation, responder: Responder, now: Date): Change {
  const { response, heldUntil } = before
  if (response === null) throw nothingToUndo(before.state)
  if (heldUntil === null || heldUntil <= now) throw released(before.state, heldUntil ?? before.updatedAt)
  if (response.responderId !== responder.userId) throw notYours()
  const open: Consultation = { ...before, ...noDecision, updatedAt: later(before, now) }
  const after = { ...open, nextActionAt: nextActionOf(open) }
  const actor: Actor = { kind: 'person', id: responder.userId }
  const was = { state: before.state, ...heldDecision(before) }
  return {
    before,
    after,
    facts: [{ kind: 'request.undone', actor, before: was, after: { state: after.state, role: responder.role } }],
    ...voidedAnswer(before, now),
  }
}

/** Gives the decision to the agent when the hold is over. While the agent is paused or stopped, it stays held. */
export function release(before: Consultation, now: Date): Change {
  if (before.agentPaused === true) {
    const heldUntil = new Date(now.getTime() + prolongedMs)
    return { before, after: { ...before, heldUntil, nextActionAt: heldUntil }, facts: [] }
  }
  const after: Consultation = { ...before, state: 'responded', heldUntil: null }
  return close(after, before, { kind: 'timer', id: null }, 'request.released', now)
}
