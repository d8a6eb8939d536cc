import type { Schemas } from '../api/client.ts'
import type { Schema } from './check/subset.ts'

type Request = Schemas['Request']

export interface Option {
  readonly id: string
  readonly label: string
  readonly description: string | null
  readonly needsComment: boolean
}

export interface Options {
  readonly mode: 'single' | 'multiple' | 'ranked'
  readonly least: number
  readonly most: number
  readonly items: readonly Option[]
}

/** How many files an answer may have, and of which types; no types: any. */
export interface FilesAsked {
  readonly least: number
  readonly most: number
  readonly types: readonly string[]
}

/** What is asked for beside a decision and a comment. */
export interface Question {
  readonly options: Options | null
  readonly form: Schema | null
  readonly files: FilesAsked | null
  readonly editable: { readonly args: Readonly<Record<string, unknown>>; readonly schema: Schema | null } | null
}

/** As the service has it. */
const mostFiles = 10

type Asked = Pick<Request, 'answer' | 'action'>

export function questionOf({ answer, action }: Asked): Question {
  const { options = null, form = null, attachments: files = null, edit_args: isEditable = false } = answer ?? {}
  return {
    options: options === null ? null : optionsOf(options),
    form: form as Schema | null,
    files:
      files === null ? null : { least: files.min ?? 0, most: files.max ?? mostFiles, types: files.media_types ?? [] },
    editable:
      isEditable && action !== null
        ? { args: action.args, schema: (action.args_schema ?? null) as Schema | null }
        : null,
  }
}

function optionsOf({ mode, min, max, items }: NonNullable<NonNullable<Request['answer']>['options']>): Options {
  // As the service counts: one of single, all of a ranking, at least one of several.
  const most = mode === 'single' ? 1 : (max ?? items.length)
  const least = min ?? (mode === 'ranked' ? most : Math.min(1, most))
  return {
    mode: mode as Options['mode'],
    least,
    most,
    items: items.map(({ id, label, description = null, requires_comment: needsComment = false }) => ({
      id,
      label,
      description,
      needsComment,
    })),
  }
}

export const asksForMore = (request: Asked): boolean => {
  const { options, form, files, editable } = questionOf(request)
  return options !== null || form !== null || files !== null || editable !== null
}

/** Refusals say what the agent is not to do, so nothing else has to be filled in. */
export const isRefusal = (decision: string | null): boolean => decision === 'reject' || decision === 'request_changes'
