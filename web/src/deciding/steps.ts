import type { Answer, Request } from '../api/requests.ts'
import { commentFor, type Decision, isRisky, letsAct } from './rules.ts'

/** What stands where the buttons were: a confirmation, or the comment of a decision. */
export type Step =
  | { readonly name: 'buttons' }
  | { readonly name: 'confirm'; readonly decision: Decision; readonly comment: string | null }
  | { readonly name: 'comment'; readonly decision: Decision }

export const atButtons: Step = { name: 'buttons' }

/** What a person did there. */
export type Input =
  | { readonly is: 'begin'; readonly decision: Decision }
  | { readonly is: 'comment'; readonly text: string }
  /** Null: they prove themselves instead. */
  | { readonly is: 'confirm'; readonly confirmation: Answer['confirmation'] }
  | { readonly is: 'cancel' }

/** The next step, or the decision. */
export type Next =
  | { readonly step: Step }
  | { readonly decision: Decision; readonly answer: Partial<Answer>; readonly byStepUp: boolean }

/** What has to come before a decision, by the tier of the request: the only way to one. */
export function nextStep(request: Request, step: Step, input: Input): Next {
  switch (input.is) {
    case 'begin': {
      if (step.name !== 'buttons') return { step }
      const { decision } = input
      const need = commentFor(request, decision)
      const isRefusal = decision === 'reject' || decision === 'request_changes'
      const asks = need === 'required' || (need === 'optional' && isRefusal)
      return asks ? { step: { name: 'comment', decision } } : withComment(request, decision, null)
    }
    case 'comment': {
      if (step.name !== 'comment') return { step }
      const text = input.text.trim()
      if (text === '' && commentFor(request, step.decision) === 'required') return { step }
      return withComment(request, step.decision, text === '' ? null : text)
    }
    case 'confirm': {
      if (step.name !== 'confirm') return { step }
      const { decision, comment } = step
      const { confirmation } = input
      const confirmed = confirmation == null ? {} : { confirmation }
      return { decision, answer: { ...commented(comment), ...confirmed }, byStepUp: confirmation == null }
    }
    case 'cancel':
      return { step: atButtons }
  }
}

const commented = (comment: string | null): Partial<Answer> => (comment === null ? {} : { comment })

function withComment(request: Request, decision: Decision, comment: string | null): Next {
  if (letsAct(decision) && isRisky(request)) return { step: { name: 'confirm', decision, comment } }
  return { decision, answer: commented(comment), byStepUp: false }
}
