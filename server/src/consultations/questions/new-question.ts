import type { JsonText } from '../../platform/json.ts'
import { type FieldError, invalidAll } from '../../platform/problem.ts'
import { filesAskedErrors } from './answer-files.ts'
import { isObject } from './json-pointer.ts'
import { type Action, type AnswerAsked, choiceCounts, decisions, fieldErrors, type Options } from './question.ts'
import { readSchema } from './schema-subset.ts'
import type { AnswerSchema } from './subset-keywords.ts'
import { checkValue } from './value-check.ts'

/** The members of a new request that are kept as they were written. */
export interface QuestionTexts {
  readonly action: JsonText | null
  readonly answer: JsonText | null
  readonly presentation: JsonText | null
}

const maxBytes = { action: 262_144, answer: 131_072, presentation: 65_536 } as const

/** Throws 422 naming every wrong place. The texts fit the wire's schema; what it leaves to the caller is checked here. */
export function checkQuestion(texts: QuestionTexts): void {
  const errors: FieldError[] = []
  for (const name of ['action', 'answer', 'presentation'] as const) {
    const most = maxBytes[name]
    if (texts[name] !== null && Buffer.byteLength(texts[name]) > most) {
      errors.push({ path: name, message: `must have at most ${most / 1024} KiB` })
    }
  }
  if (errors.length === 0) {
    const action = texts.action === null ? null : (JSON.parse(texts.action) as Action)
    const answer = texts.answer === null ? null : (JSON.parse(texts.answer) as AnswerAsked)
    errors.push(...actionErrors(action), ...answerErrors(answer, action), ...presentationErrors(texts.presentation))
  }
  if (errors.length > 0) throw invalidAll(errors)
}

/** The schema, or why it is none. */
function readMember(place: readonly string[], schema: unknown): AnswerSchema | readonly FieldError[] {
  const reading = readSchema(schema)
  return 'read' in reading ? reading.read : fieldErrors(place, reading.flaws)
}

const isErrors = (read: AnswerSchema | readonly FieldError[]): read is readonly FieldError[] => Array.isArray(read)

function actionErrors(action: Action | null): readonly FieldError[] {
  if (action?.args_schema == null) return []
  const schema = readMember(['action', 'args_schema'], action.args_schema)
  return isErrors(schema) ? schema : fieldErrors(['action', 'args'], checkValue(schema, action.args))
}

const refused = (path: string, message: string): readonly FieldError[] => [{ path, message }]

function answerErrors(answer: AnswerAsked | null, action: Action | null): readonly FieldError[] {
  if (answer === null) return []
  const { form = null, options = null, edit_args: edits, comment = 'optional', attachments = null } = answer
  const read = form === null ? [] : readMember(['answer', 'form'], form)
  return [
    ...(isErrors(read) ? read : []),
    ...(options === null ? [] : optionErrors(options, comment)),
    ...(edits === true && action === null
      ? refused('answer.edit_args', 'needs an action whose args can be edited')
      : []),
    ...(attachments === null ? [] : filesAskedErrors(attachments)),
    ...nothingAsked(answer),
  ]
}

/** With no decision and nothing else, every answer would be the same. */
function nothingAsked({
  decisions: offered,
  options,
  form,
  edit_args: edits,
  comment,
  attachments,
}: AnswerAsked): readonly FieldError[] {
  const asksElse = options != null || form != null || edits === true || comment === 'required' || attachments != null
  if (offered?.length !== 0 || asksElse) return []
  return refused(
    'answer.decisions',
    `must not be empty where nothing else is asked for: name some of ${decisions.join(', ')}`,
  )
}

function optionErrors(options: Options, comment: string): readonly FieldError[] {
  const { mode, max, items } = options
  const ids = items.map(({ id }) => id)
  const twice = ids.findIndex((id, at) => ids.indexOf(id) < at)
  const { least, most } = choiceCounts(options)
  const place = 'answer.options'
  return [
    ...(twice < 0 ? [] : refused(`${place}.items.${twice}.id`, 'is there twice')),
    ...(mode === 'single' && max !== undefined && max !== 1
      ? refused(`${place}.max`, 'must be 1, or left out, where one is chosen')
      : []),
    ...(most > items.length ? refused(`${place}.max`, `must be at most the number of options, ${items.length}`) : []),
    ...(least > most ? refused(`${place}.min`, `must be ${most} or less`) : []),
    ...(comment === 'none' && items.some(({ requires_comment: demands }) => demands === true)
      ? refused('answer.comment', 'must not be none where an option requires a comment')
      : []),
  ]
}

/** A link that a person may follow. Hints are not looked at: what nobody can show is shown plainly. */
function presentationErrors(text: JsonText | null): readonly FieldError[] {
  const presentation: unknown = text === null ? null : JSON.parse(text)
  if (!isObject(presentation) || typeof presentation.source_url !== 'string') return []
  const url = URL.parse(presentation.source_url)
  const isWeb =
    url !== null &&
    (url.protocol === 'https:' || url.protocol === 'http:') &&
    url.username === '' &&
    url.password === ''
  return isWeb ? [] : refused('presentation.source_url', 'must be an http(s) URL without a user name')
}
