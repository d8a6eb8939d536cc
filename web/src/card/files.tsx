import { useMutation, useQuery } from '@tanstack/react-query'
import { Download, File } from 'lucide-react'
import { useEffect, useMemo, useState } from 'react'
import { api, type Schemas } from '../api/client.ts'
import { granted } from '../api/refused.ts'
import { AgentText } from '../rendering/agent-text.tsx'
import { bytes } from '../rendering/bytes.ts'
import { CodeView } from '../rendering/code-view.tsx'
import { languageOfFile } from '../rendering/language.ts'
import { say } from '../words/say.ts'

type Attachment = Schemas['Attachment']

export interface FilesProps {
  readonly requestId: string
  readonly files: readonly Attachment[]
  readonly label: string
}

const contentOf = async (requestId: string, id: string, signal?: AbortSignal): Promise<Blob> => {
  const params = { path: { id: requestId, attachment_id: id } }
  const call = api.GET('/api/v1/requests/{id}/attachments/{attachment_id}', {
    params,
    parseAs: 'blob',
    ...(signal === undefined ? {} : { signal }),
  })
  return (await granted(call as Promise<{ data?: unknown; error?: unknown; response: Response }>)) as Blob
}

/** Files with their names, types and sizes: to look at where that is safe, and to be saved. */
export function Files({ requestId, files, label }: FilesProps) {
  return (
    <ul aria-label={label} className="grid gap-1.5">
      {files.map((file) => (
        <FileRow key={file.id} requestId={requestId} file={file} />
      ))}
    </ul>
  )
}

/** Pictures of dots, and text; everything else is saved only. */
const pictures = ['image/png', 'image/jpeg', 'image/gif', 'image/webp', 'image/avif']
const isText = (type: string): boolean => /^text\/|[/+](?:json|xml|yaml|csv)$/.test(type) && type !== 'image/svg+xml'
const mostShown = { picture: 8_000_000, text: 1_000_000 }

function FileRow({ requestId, file }: { readonly requestId: string; readonly file: Attachment }) {
  const { id, name, media_type: type, size } = file
  const [isShown, setShown] = useState(false)
  const kind = pictures.includes(type) ? 'picture' : isText(type) ? 'text' : null
  const canBeShown = kind !== null && size <= mostShown[kind]
  const saving = useMutation({ mutationFn: async () => save(await contentOf(requestId, id), name) })
  return (
    <li className="rounded-box border border-line">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1 px-3 py-1.5">
        <File className="size-4 shrink-0 text-mute" aria-hidden="true" />
        <AgentText text={name} className="min-w-0 flex-1 wrap-anywhere" />
        <span className="tabular text-mute text-small">
          <bdi>{type}</bdi> {bytes(size)}
        </span>
        {canBeShown ? (
          <button
            type="button"
            aria-expanded={isShown}
            className="text-accent text-small pointer-coarse:min-h-11"
            onClick={() => setShown(!isShown)}
          >
            {say(isShown ? 'files.hide' : 'files.show')}
            <span className="sr-only"> {name}</span>
          </button>
        ) : null}
        <button
          type="button"
          className="grid size-7 place-items-center rounded-control text-mute hover:bg-side hover:text-ink pointer-coarse:size-11"
          aria-label={say('files.save', { name })}
          title={say('files.save', { name })}
          disabled={saving.isPending}
          onClick={() => saving.mutate()}
        >
          <Download className="size-4" aria-hidden="true" />
        </button>
      </div>
      {saving.error === null ? null : (
        <p role="alert" className="px-3 pb-2 text-critical text-small">
          {saving.error.message}
        </p>
      )}
      {isShown && kind !== null ? <Shown requestId={requestId} file={file} kind={kind} /> : null}
    </li>
  )
}

interface ShownProps {
  readonly requestId: string
  readonly file: Attachment
  readonly kind: 'picture' | 'text'
}

function Shown({ requestId, file, kind }: ShownProps) {
  const { data, error } = useQuery({
    queryKey: ['file', requestId, file.id],
    queryFn: async ({ signal }) => {
      const content = await contentOf(requestId, file.id, signal)
      return kind === 'text' ? content.text() : content
    },
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 60_000,
  })
  if (error !== null) return <p className="px-3 pb-2 text-critical text-small">{error.message}</p>
  return (
    <div className="border-line border-t p-2">
      {typeof data === 'string' ? (
        <CodeView text={data} language={languageOfFile(file.name)} label={file.name} />
      ) : data === undefined ? null : (
        <Picture content={data} type={file.media_type} name={file.name} />
      )}
    </div>
  )
}

/** Under the type that the service held it to, whatever the reply said. */
function Picture({ content, type, name }: { readonly content: Blob; readonly type: string; readonly name: string }) {
  const url = useMemo(() => URL.createObjectURL(new Blob([content], { type })), [content, type])
  useEffect(() => () => URL.revokeObjectURL(url), [url])
  return <img src={url} alt={say('shown.image_of', { name })} className="max-h-[60vh] max-w-full" />
}

/** Never opened in the page's own origin: always saved. */
function save(content: Blob, name: string): void {
  const url = URL.createObjectURL(new Blob([content], { type: 'application/octet-stream' }))
  const link = Object.assign(document.createElement('a'), { href: url, download: name })
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}
