import type { Actor } from '../facts/fact.ts'
import { later } from '../platform/clock.ts'
import { refusal } from '../platform/problem.ts'
import {
  type Change,
  type Consultation,
  type ConsultationCore,
  isHeld,
  type ReportedOutcome,
  type State,
} from './consultation.ts'
import type { Decision } from './questions/question.ts'
import { unchanged } from './repetition.ts'

/** What happened when the agent carried out what was decided: reported once, by the agent. */

export const nothingToReport = refusal(
  409,
  'consultation.nothing_to_report',
  (state: State, decision: Decision | null) => ({
    detail:
      decision === 'request_changes'
        ? 'Changes were asked for, so there was nothing to carry out. Send a new revision, or ask again.'
        : 'There is no decision whose outcome could be reported. Wait for the decision; after a timeout or a cancellation, ask again.',
    extra: { state, decision },
  }),
  'pending',
  null,
)

export const alreadyCompleted = refusal(
  409,
  'consultation.already_completed',
  (state: State) => ({
    detail: 'The outcome of this request was already reported. It is reported once.',
    extra: { state },
  }),
  'completed',
)

/** Whether there is a decision that was carried out, or not. */
export function awaitsOutcome({ state, response }: ConsultationCore): boolean {
  const isDecided = ['responded', 'callback_sent', 'callback_failed'].includes(state)
  return isDecided && response !== null && response.decision !== 'request_changes'
}

/** A call that repeats the very outcome that was reported gets the same reply. */
export function reportOutcome(before: Consultation, actor: Actor, outcome: ReportedOutcome, now: Date): Change {
  if (before.outcome !== null) {
    if (isSame(before.outcome, outcome)) return unchanged(before, before)
    throw alreadyCompleted(before.state)
  }
  if (!awaitsOutcome(before))
    throw nothingToReport(before.state, isHeld(before) ? null : (before.response?.decision ?? null))
  const reportedAt = later(before, now)
  const after: Consultation = {
    ...before,
    state: 'completed',
    outcome: { ...outcome, reportedAt },
    updatedAt: reportedAt,
  }
  const told = outcome.detail === null && outcome.data === null ? {} : { erasable: toldBy(outcome) }
  const audited = { state: after.state, outcome: outcome.status, revision: before.revision }
  return {
    before,
    after,
    facts: [{ kind: 'request.completed', actor, before: { state: before.state }, after: audited, ...told }],
  }
}

const toldBy = ({ detail, data }: ReportedOutcome) => ({ detail, data: data === null ? null : JSON.parse(data) })

const isSame = (one: ReportedOutcome, other: ReportedOutcome): boolean =>
  one.status === other.status && one.detail === other.detail && one.data === other.data
