import { useMutation } from '@tanstack/react-query'
import { Paperclip, X } from 'lucide-react'
import { useRef } from 'react'
import { api, type Schemas } from '../api/client.ts'
import { granted } from '../api/refused.ts'
import { AgentText } from '../rendering/agent-text.tsx'
import { bytes } from '../rendering/bytes.ts'
import { listed } from '../words/formats.ts'
import { region, say } from '../words/say.ts'
import { change, draftKey, draftOf } from './drafts.ts'
import { Grouped } from './form/field-frame.tsx'
import { Small } from './form/form-field.tsx'
import type { FilesAsked } from './question.ts'

export interface FilesInputProps {
  readonly request: Pick<Schemas['Request'], 'id' | 'revision'>
  readonly asked: FilesAsked
  readonly files: readonly Schemas['Attachment'][]
  readonly flaw: string | undefined
}

const add = (id: string, file: File): Promise<Schemas['Attachment']> => {
  const form = new FormData()
  form.set('file', file)
  const call = api.POST('/api/v1/requests/{id}/attachments', {
    params: { path: { id } },
    // The generated type of a file in a form is a text.
    body: form as never,
    bodySerializer: (given) => given as unknown as FormData,
  })
  return granted(call) as Promise<Schemas['Attachment']>
}

/** Files that a person adds to their answer: each is with the service as soon as it is chosen, and seen by nobody else before. */
export function FilesInput({ request, asked, files, flaw }: FilesInputProps) {
  const key = draftKey(request)
  const input = useRef<HTMLInputElement>(null)
  const set = (next: readonly Schemas['Attachment'][]): void =>
    change(key, {
      files: next,
      flaws: new Map([...draftOf(key).flaws].filter(([pointer]) => pointer !== '/attachments')),
    })
  const adding = useMutation({
    mutationFn: async (chosen: readonly File[]) => {
      change(key, { isAdding: true })
      try {
        for (const file of chosen) set([...draftOf(key).files, await add(request.id, file)])
      } finally {
        change(key, { isAdding: false })
      }
    },
  })
  const removing = useMutation({
    mutationFn: async ({ id }: Schemas['Attachment']) => {
      const path = { id: request.id, attachment_id: id }
      await granted(api.DELETE('/api/v1/requests/{id}/attachments/{attachment_id}', { params: { path } }))
      set(draftOf(key).files.filter((other) => other.id !== id))
    },
  })
  const { least, most, types } = asked
  const about = types.length === 0 ? null : say('answer_files.types', { types: listed(region(), types) })
  const trouble = adding.error ?? removing.error
  return (
    <Grouped at="/attachments" label={labelOf(least, most)} about={about} isRequired={least > 0} flaw={flaw}>
      <ul className="grid gap-1.5">
        {files.map((file) => (
          <li key={file.id} className="flex items-center gap-2 rounded-control border border-line px-3 py-1">
            <AgentText text={file.name} className="min-w-0 flex-1 wrap-anywhere" />
            <span className="tabular text-mute text-small">{bytes(file.size)}</span>
            <Small
              label={say('form.remove', { name: file.name })}
              isOff={removing.isPending}
              onClick={() => removing.mutate(file)}
            >
              <X className="size-3.5" aria-hidden="true" />
            </Small>
          </li>
        ))}
      </ul>
      {files.length >= most ? null : (
        <>
          <input
            ref={input}
            type="file"
            multiple={most > 1}
            accept={types.join(',')}
            hidden
            onChange={({ target }) => {
              adding.mutate([...(target.files ?? [])].slice(0, most - files.length))
              target.value = ''
            }}
          />
          <button
            type="button"
            disabled={adding.isPending}
            className="inline-flex items-center gap-1.5 justify-self-start rounded-control border border-line px-2.5 py-1 text-small hover:bg-side disabled:opacity-60 pointer-coarse:min-h-11"
            onClick={() => input.current?.click()}
          >
            <Paperclip className="size-3.5" aria-hidden="true" />
            {say(adding.isPending ? 'answer_files.adding' : 'answer_files.add')}
          </button>
        </>
      )}
      {trouble === null ? null : (
        <p role="alert" className="text-critical text-small">
          {trouble.message}
        </p>
      )}
    </Grouped>
  )
}

const labelOf = (least: number, most: number): string =>
  least === most ? say('answer_files.exactly', { count: most }) : say('answer_files.several', { least, most })
