import type { JsonText } from '../../platform/json.ts'
import type { FieldError } from '../../platform/problem.ts'
import type { FilesAsked } from './answer-files.ts'
import type { Flaw } from './json-pointer.ts'
import { pointerOf } from './json-pointer.ts'
import { readSchema } from './schema-subset.ts'
import type { AnswerSchema } from './subset-keywords.ts'

/** What is asked for beside the text of a request: an answer that is more, or other, than one of three decisions. */

export const decisions = ['approve', 'reject', 'request_changes', 'acknowledge'] as const
export type Decision = (typeof decisions)[number]
/** What a request asks for that says nothing about it. */
export const defaultDecisions: readonly Decision[] = ['approve', 'reject', 'request_changes']

export const optionModes = ['single', 'multiple', 'ranked'] as const
export const commentRules = ['optional', 'required', 'required_unless_approved', 'none'] as const
export type CommentRule = (typeof commentRules)[number]

export interface Option {
  readonly id: string
  readonly label: string
  readonly description?: string | null
  readonly requires_comment?: boolean
}

export interface Options {
  readonly mode: (typeof optionModes)[number]
  readonly min?: number
  readonly max?: number
  readonly items: readonly Option[]
}

/** `action` and `answer` as they are on the wire. */
export interface Action {
  readonly name: string
  readonly args: Readonly<Record<string, unknown>>
  readonly args_schema?: object | null
}

export interface AnswerAsked {
  readonly decisions?: readonly Decision[] | null
  readonly options?: Options | null
  readonly form?: object | null
  readonly edit_args?: boolean
  readonly comment?: CommentRule
  readonly attachments?: FilesAsked | null
}

/** What an answer is checked against. */
export interface Question {
  /** In the order to be shown; empty: no decision is asked for. */
  readonly decisions: readonly Decision[]
  readonly options: Options | null
  readonly form: AnswerSchema | null
  /** The arguments that may be edited; null when they may not. */
  readonly editable: { readonly args: Readonly<Record<string, unknown>>; readonly schema: AnswerSchema | null } | null
  readonly comment: CommentRule
  /** Null: it may have no files. */
  readonly files: FilesAsked | null
}

const core: Question = {
  decisions: defaultDecisions,
  options: null,
  form: null,
  editable: null,
  comment: 'optional',
  files: null,
}

/** What a stored request asks for; its schemas were checked when it was made. */
export function questionOf(asked: { readonly action: JsonText | null; readonly answer: JsonText | null }): Question {
  if (asked.answer === null) return core
  const {
    decisions: offered,
    options = null,
    form = null,
    edit_args: edits,
    comment = 'optional',
    attachments: files = null,
  } = JSON.parse(asked.answer) as AnswerAsked
  const action = edits === true && asked.action !== null ? (JSON.parse(asked.action) as Action) : null
  return {
    decisions: offered ?? defaultDecisions,
    options,
    form: form === null ? null : stored(form),
    editable: action && { args: action.args, schema: action.args_schema == null ? null : stored(action.args_schema) },
    comment,
    files,
  }
}

function stored(schema: object): AnswerSchema {
  const reading = readSchema(schema)
  if ('flaws' in reading) throw new Error(`a stored schema is not of the subset: ${reading.flaws[0]?.message}`)
  return reading.read
}

/** How many choices there must be, and may be. */
export function choiceCounts({ mode, min, max, items }: Options): { readonly least: number; readonly most: number } {
  if (mode === 'single') return { least: min ?? 1, most: 1 }
  const most = max ?? items.length
  return { least: min ?? (mode === 'ranked' ? most : Math.min(1, most)), most }
}

/** The errors of a member of a body, for each wrong place in it. */
export function fieldErrors(member: readonly (string | number)[], flaws: readonly Flaw[]): readonly FieldError[] {
  return flaws.map(({ place, message }) => {
    const whole = [...member, ...place]
    return { path: whole.join('.'), message, pointer: pointerOf(whole) }
  })
}
