import type { JsonText } from '../../platform/json.ts'
import { invalidAll } from '../../platform/problem.ts'
import { answerErrors, isRefusal } from './answer-check.ts'
import { type FoundFile, fileErrors, filesText } from './answer-files.ts'
import { patchBetween } from './json-patch.ts'
import { type Decision, questionOf } from './question.ts'
import { type Confirmation, type ConfirmationMethod, nameToType, type Risk, requireConfirmed, tiers } from './tiers.ts'

/** What a person answers, as it was sent. */
export interface FullAnswer {
  /** Null where no decision is asked for. */
  readonly decision: Decision | null
  readonly comment: string | null
  readonly choices?: readonly string[] | null
  readonly data?: JsonText | null
  readonly args?: JsonText | null
  /** The ids of files. */
  readonly attachments?: readonly string[] | null
  /** Those of them that this person added to the request. */
  readonly files?: readonly FoundFile[]
  readonly confirmation?: Confirmation | null
}

/** What of a request an answer is held against. */
export interface AnsweredRequest {
  readonly digest: string
  readonly risk: Risk
  readonly title: string
  readonly action: JsonText | null
  readonly answerAsked: JsonText | null
  readonly presentation: JsonText | null
}

/** An answer that was found right, and what it was held against. */
export interface CheckedAnswer {
  readonly digest: string
  readonly risk: Risk
  /** From the proposed to the edited arguments. */
  readonly argsPatch: JsonText | null
}

/** Throws 422 naming every wrong member. */
export function checkAnswer(asked: AnsweredRequest, answer: FullAnswer): CheckedAnswer {
  const question = questionOf({ action: asked.action, answer: asked.answerAsked })
  const { decision, comment, choices = null, attachments = null, files = [] } = answer
  const [data, args] = [parsed(answer.data), parsed(answer.args)]
  const given = { decision, comment, choices, data, args, attachments, files }
  const errors = answerErrors(question, given, tiers[asked.risk].needsReason)
  if (errors.length > 0) throw invalidAll(errors)
  const argsPatch = args === null || question.editable === null ? null : patchBetween(question.editable.args, args)
  return {
    digest: asked.digest,
    risk: asked.risk,
    argsPatch: argsPatch && (JSON.stringify(argsPatch) as JsonText),
  }
}

/** Throws 422 unless they may still be files of this answer. Returns their list; null: none. */
export function checkFiles(
  asked: AnsweredRequest,
  { decision, attachments = null, files = [] }: FullAnswer,
): JsonText | null {
  if (attachments === null) return null
  const { files: wanted } = questionOf({ action: null, answer: asked.answerAsked })
  const errors = fileErrors(wanted, attachments, files, isRefusal(decision))
  if (errors.length > 0) throw invalidAll(errors)
  return filesText(attachments, files)
}

const parsed = (text: JsonText | null | undefined): unknown => (text == null ? null : JSON.parse(text))

/** How it was confirmed. Only an approval, by whatever name, lets the agent act. Throws 403. */
export function confirmationOf(
  asked: AnsweredRequest,
  { decision, confirmation = null }: FullAnswer,
  hasStepUp: boolean,
): ConfirmationMethod | null {
  if (tiers[asked.risk].confirmedBy.length === 0 || isRefusal(decision) || decision === 'acknowledge') return null
  const action = asked.action === null ? null : (JSON.parse(asked.action) as { readonly name: string })
  const shown =
    asked.presentation === null ? null : (JSON.parse(asked.presentation) as { readonly target?: string | null })
  const expected = nameToType(shown?.target ?? null, action?.name ?? null, asked.title)
  return requireConfirmed(asked.risk, expected, confirmation, hasStepUp)
}
