import type { Request } from '../api/requests.ts'
import { type Risk, riskOf } from '../design/risk.ts'
import { commentedOption, isEdited } from '../questions/drafts.ts'

/** `answer`: no decision is asked for, only what the question panel holds. */
export type Decision = 'approve' | 'reject' | 'request_changes' | 'acknowledge' | 'answer'

const usual: readonly Decision[] = ['approve', 'reject', 'request_changes']

/** The longest hold wins; the request may ask for more. */
export const holdSeconds: Readonly<Record<Risk, number>> = { low: 5, medium: 5, high: 10, critical: 30 }

/** Nothing is decided about a card that took the place of another one this recently. */
export const settlingMs = 400
/** A card of medium risk or above is seen at least this long before a key decides. */
const readingMs: Readonly<Record<Risk, number>> = { low: 0, medium: 1_000, high: 0, critical: 0 }

export interface Painted {
  readonly id: string
  readonly revision: number
  readonly risk: Risk
  /** Since it is on the screen in this revision. */
  readonly forMs: number
  /** The person did not go to it: it came by itself, after a decision or by a change. */
  readonly cameByItself: boolean
}

/** Why a key does nothing yet; null when it may act. High and critical need no wait, because a confirmation follows. */
export function notYet({ risk, forMs, cameByItself }: Painted): 'settling' | 'unread' | null {
  if (cameByItself && forMs < settlingMs) return 'settling'
  return forMs < readingMs[risk] ? 'unread' : null
}

/**
 * Why a key or a button does not begin a decision; null when it does. A button waits for a card that came by itself, because the
 * second click of a double click falls on it; it does not wait until the card can be read, because nobody aims at it by mistake.
 */
export function mayBegin(painted: Painted, by: 'key' | 'button'): 'settling' | 'unread' | null {
  const reason = notYet(painted)
  return by === 'button' && reason === 'unread' ? null : reason
}

/** In the order to be shown. */
export function decisionsOf({ answer }: Request): readonly Decision[] {
  if (answer?.decisions?.length === 0) return ['answer']
  return (answer?.decisions ?? usual).filter((decision): decision is Decision =>
    ['approve', 'reject', 'request_changes', 'acknowledge'].includes(decision),
  )
}

/** An approval of it takes a confirmation. */
export const isRisky = ({ risk }: Pick<Request, 'risk'>): boolean => ['high', 'critical'].includes(riskOf(risk))

/** Lets the agent act, so that at high and critical risk it takes a confirmation. */
export const letsAct = (decision: Decision): boolean => decision === 'approve' || decision === 'answer'

export type CommentNeed = 'none' | 'optional' | 'required'

export function commentFor(request: Request, decision: Decision): CommentNeed {
  const { answer } = request
  const rule = answer?.comment ?? 'optional'
  if (rule === 'none') return 'none'
  const refuses = decision === 'reject' || decision === 'request_changes'
  if (rule === 'required' || (rule === 'required_unless_approved' && decision !== 'approve')) return 'required'
  // Asking back without a question helps nobody; a refusal at high risk says why.
  if (decision === 'request_changes') return 'required'
  if (!refuses && commentedOption(request) !== null) return 'required'
  return isRisky(request) && (refuses || isEdited(request)) ? 'required' : 'optional'
}

/** What a person types to approve at critical risk. */
export const targetOf = ({ presentation, action, title }: Request): string =>
  presentation?.target ?? action?.name ?? title

/** Whether the person can decide about it now. */
export const isAnswerable = ({ allowed_actions }: Request): boolean => allowed_actions.includes('respond')

/** Waiting for somebody: neither decided nor over. */
export const isOpen = ({ state, held_until }: Request): boolean => state === 'pending' && held_until === null
