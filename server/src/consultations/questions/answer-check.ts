import type { FieldError } from '../../platform/problem.ts'
import { type FoundFile, fileErrors } from './answer-files.ts'
import { typeFlaws } from './edited-args.ts'
import type { Flaw } from './json-pointer.ts'
import { choiceCounts, type Decision, fieldErrors, type Option, type Question } from './question.ts'
import { checkValue } from './value-check.ts'

/** A person's answer against what was asked, whole: one error for each wrong member. */

export interface GivenAnswer {
  /** Null: none. */
  readonly decision: Decision | null
  readonly comment: string | null
  readonly choices: readonly string[] | null
  /** The form's values, and the edited arguments, as JSON values. */
  readonly data: unknown
  readonly args: unknown
  readonly attachments: readonly string[] | null
  /** Those of them that were found. */
  readonly files: readonly FoundFile[]
}

/** Whether the agent is to do nothing of what it asked for, so that nothing has to be filled in. */
export function isRefusal(decision: Decision | null): boolean {
  return decision === 'reject' || decision === 'request_changes'
}

/**
 * `needsReason`: the tier asks for one when somebody rejects or edits. Rejecting, or asking for changes, leaves out what only an
 * approval needs; what is sent is checked all the same.
 */
export function answerErrors(asked: Question, given: GivenAnswer, needsReason: boolean): readonly FieldError[] {
  return [
    ...decisionErrors(asked, given),
    ...choiceErrors(asked, given),
    ...dataErrors(asked, given),
    ...argsErrors(asked, given),
    ...commentErrors(asked, given, needsReason),
    ...fileErrors(asked.files, given.attachments, given.files, isRefusal(given.decision)),
  ]
}

const error = (path: string, message: string): readonly FieldError[] => [{ path, message }]
const notAskedFor = 'was not asked for: leave it out'

function decisionErrors({ decisions }: Question, { decision }: GivenAnswer): readonly FieldError[] {
  if (decisions.length === 0) return decision === null ? [] : error('decision', notAskedFor)
  if (decision === null) return error('decision', `is required: one of ${decisions.join(', ')}`)
  return decisions.includes(decision) ? [] : error('decision', `must be one of: ${decisions.join(', ')}`)
}

function choiceErrors({ options }: Question, { choices, decision }: GivenAnswer): readonly FieldError[] {
  if (options === null) return choices === null ? [] : error('choices', notAskedFor)
  const { least, most } = choiceCounts(options)
  if (choices === null) return isRefusal(decision) || least === 0 ? [] : error('choices', 'is required')
  const known = new Set(options.items.map(({ id }) => id))
  const unknown = choices.findIndex((id) => !known.has(id))
  if (unknown >= 0)
    return error(`choices.${unknown}`, `must be one of: ${options.items.map(({ id }) => id).join(', ')}`)
  if (new Set(choices).size < choices.length) return error('choices', 'has a choice twice: send it once')
  if (choices.length >= least && choices.length <= most) return []
  const wanted = least === most ? `exactly ${least}` : choices.length < least ? `at least ${least}` : `at most ${most}`
  return error('choices', `must have ${wanted} of the options`)
}

function dataErrors({ form }: Question, { data, decision }: GivenAnswer): readonly FieldError[] {
  if (form === null) return data === null ? [] : error('data', notAskedFor)
  if (data === null) return isRefusal(decision) ? [] : error('data', 'is required: the form was asked for')
  return fieldErrors(['data'], checkValue(form, data))
}

function argsErrors({ editable }: Question, { args, decision }: GivenAnswer): readonly FieldError[] {
  if (args === null) return []
  if (editable === null) return error('args', 'cannot be edited: leave it out')
  if (isRefusal(decision)) return error('args', `goes with an approval, not with ${decision}: leave it out`)
  const flaws: readonly Flaw[] = [
    ...typeFlaws(editable.args, args, editable.schema !== null),
    ...(editable.schema === null ? [] : checkValue(editable.schema, args)),
  ]
  // A wrong type is against both rules: it is named once.
  const byPlace = new Map(flaws.toReversed().map((flaw) => [flaw.place.join('/'), flaw]))
  return fieldErrors(['args'], [...byPlace.values()].toReversed())
}

function commentErrors(asked: Question, given: GivenAnswer, needsReason: boolean): readonly FieldError[] {
  const { decision, choices, args } = given
  const comment = given.comment?.trim() ? given.comment : null
  if (asked.comment === 'none') return comment === null ? [] : error('comment', notAskedFor)
  if (comment !== null) return []
  if (asked.comment === 'required') return error('comment', 'is required')
  if (asked.comment === 'required_unless_approved' && decision !== 'approve') {
    return error('comment', 'is required, unless you approve')
  }
  const demanding = asked.options?.items.find(
    ({ id, requires_comment: demands }: Option) => demands === true && choices?.includes(id),
  )
  if (demanding !== undefined) return error('comment', `is required with ${demanding.id}`)
  if (needsReason && isRefusal(decision)) return error('comment', 'is required: say why, because the risk is high')
  if (needsReason && args !== null)
    return error('comment', 'is required: say why you changed the arguments, because the risk is high')
  return []
}
