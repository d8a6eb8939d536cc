import { useEffect, useMemo } from 'react'
import type { Schemas } from '../api/client.ts'
import { say } from '../words/say.ts'
import { answerFlaws } from './answer-check.ts'
import { ArgsEditor } from './args-editor.tsx'
import { change, draftKey, editArgs, useDraft, withChecker } from './drafts.ts'
import { FilesInput } from './files-input.tsx'
import { FormFields } from './form/form-field.tsx'
import { initialValue } from './form/shown-fields.ts'
import { OptionsInput } from './options-input.tsx'
import { questionOf } from './question.ts'

/** What a request asks for beside a decision, to be filled in. Loaded when a request asks for more. */
export function QuestionPanel({ request }: { readonly request: Schemas['Request'] }) {
  const key = draftKey(request)
  const question = useMemo(() => questionOf(request), [request])
  const draft = useDraft(key)
  useEffect(() => withChecker(key, (given) => answerFlaws(question, given)), [key, question])
  const { options, form, files, editable } = question
  useEffect(() => {
    if (form !== null && draft.data === null) change(key, { data: initialValue(form, form) ?? {} })
  }, [key, form, draft.data])
  const isOpen = draft.isEditing || draft.args !== null
  return (
    <div data-question={key} className="grid grid-cols-[minmax(0,1fr)] gap-5">
      {draft.flaws.size === 0 ? null : (
        <p role="alert" className="font-medium text-critical">
          {say('form.flaws', { count: draft.flaws.size })}
        </p>
      )}
      {options === null ? null : (
        <OptionsInput
          options={options}
          chosen={draft.choices ?? []}
          flaw={draft.flaws.get('/choices')}
          onChange={(choices) => change(key, { choices, flaws: without(draft.flaws, '/choices') })}
        />
      )}
      {form === null || draft.data === null ? null : (
        <FormFields
          top={form}
          schema={form}
          at="/data"
          value={draft.data}
          flaws={draft.flaws}
          onChange={(data) => change(key, { data, flaws: stillWrong(question, { ...draft, data }) })}
        />
      )}
      {files === null ? null : (
        <FilesInput request={request} asked={files} files={draft.files} flaw={draft.flaws.get('/attachments')} />
      )}
      {editable === null ? null : isOpen ? (
        <ArgsEditor
          proposed={editable.args}
          schema={editable.schema}
          edited={draft.args}
          flaws={draft.flaws}
          onChange={(args) => change(key, { args, flaws: stillWrong(question, { ...draft, args }) })}
        />
      ) : (
        <button
          type="button"
          className="justify-self-start rounded-control border border-line px-3 py-1.5 hover:bg-side pointer-coarse:min-h-11"
          onClick={() => editArgs(request)}
        >
          {say('args.edit')}
        </button>
      )}
    </div>
  )
}

type Flaws = ReadonlyMap<string, string>

const without = (flaws: Flaws, pointer: string): Flaws => new Map([...flaws].filter(([other]) => other !== pointer))

/** Of what was marked, what is wrong still: nothing is marked while somebody fills it in for the first time. */
function stillWrong(question: ReturnType<typeof questionOf>, draft: ReturnType<typeof useDraft>): Flaws {
  if (draft.flaws.size === 0) return draft.flaws
  const now = answerFlaws(question, draft)
  return new Map([...now].filter(([pointer]) => draft.flaws.has(pointer)))
}
