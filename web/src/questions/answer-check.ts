import { pointerOf } from '../rendering/pointer.ts'
import { typeFlaws } from './check/edited-args.ts'
import { checkValue } from './check/value-check.ts'
import { type Flaw, flaw } from './check/words.ts'
import type { Draft } from './drafts.ts'
import type { Question } from './question.ts'

/** What is wrong with an answer, by the pointer of its place, as the service judges it. Comments are
 * asked for elsewhere, and a refusal sends nothing of this. */
export function answerFlaws(question: Question, draft: Draft): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  const add = (member: string, flaws: readonly Flaw[]): void => {
    for (const { place, message } of flaws) {
      const pointer = pointerOf([member, ...place])
      if (!found.has(pointer)) found.set(pointer, message)
    }
  }
  add('choices', choiceFlaws(question, draft))
  if (question.form !== null) add('data', checkValue(question.form, draft.data))
  add('attachments', fileFlaws(question, draft))
  if (question.editable !== null && draft.args !== null) add('args', argsFlaws(question.editable, draft.args))
  return found
}

function choiceFlaws({ options }: Question, { choices }: Draft): readonly Flaw[] {
  if (options === null) return []
  const { least, most } = options
  const count = choices?.length ?? 0
  if (count >= least && count <= most) return []
  const word = least === most ? 'flaw.choices.exactly' : count < least ? 'flaw.choices.least' : 'flaw.choices.most'
  return [{ place: [], message: flaw(word, { count: count < least ? least : most }) }]
}

function fileFlaws({ files: asked }: Question, { files, isAdding }: Draft): readonly Flaw[] {
  if (isAdding) return [{ place: [], message: flaw('flaw.files.adding') }]
  if (asked === null || files.length >= asked.least) return []
  return [{ place: [], message: flaw('flaw.files', { count: asked.least }) }]
}

export function argsFlaws({ args, schema }: NonNullable<Question['editable']>, edited: unknown): readonly Flaw[] {
  return [...typeFlaws(args, edited, schema !== null), ...(schema === null ? [] : checkValue(schema, edited))]
}
