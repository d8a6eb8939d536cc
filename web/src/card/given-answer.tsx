import type { ReactNode } from 'react'
import type { Schemas } from '../api/client.ts'
import { questionOf } from '../questions/question.ts'
import { AgentText } from '../rendering/agent-text.tsx'
import { MarkdownView } from '../rendering/markdown-view.tsx'
import { ChangeView, RecordView } from '../rendering/value-view.tsx'
import { say } from '../words/say.ts'
import { Files } from './files.tsx'

const none = new Map()

interface PartProps {
  readonly label: string
  readonly children: ReactNode
}

function Part({ label, children }: PartProps) {
  return (
    <section aria-label={label} className="mt-[22px]">
      <h2 className="mb-1.5 font-medium text-faint text-small">{label}</h2>
      {children}
    </section>
  )
}

/** What was answered beside a decision and a comment: choices, values of the form, changed arguments, files. */
export function GivenAnswer({ request }: { readonly request: Schemas['Request'] }) {
  const { response, action } = request
  if (response === null) return null
  const { choices, data, args, attachments } = response
  const { options } = questionOf(request)
  const labelOf = (id: string): string => options?.items.find((item) => item.id === id)?.label ?? id
  return (
    <>
      {choices === null ? null : (
        <Part label={say('given.choices')}>
          <ol className={options?.mode === 'ranked' ? 'list-decimal ps-5' : ''}>
            {choices.map((id) => (
              <li key={id}>
                <AgentText text={labelOf(id)} className="font-medium" />
              </li>
            ))}
          </ol>
        </Part>
      )}
      {data === null ? null : (
        <Part label={say('given.data')}>
          <RecordView value={data} place={['data']} hints={none} />
        </Part>
      )}
      {args === null ? null : (
        <Part label={say('given.args')}>
          <ChangeView before={action?.args} after={args} language={null} label={say('given.args')} />
        </Part>
      )}
      {attachments === null || attachments.length === 0 ? null : (
        <Part label={say('given.files')}>
          <Files requestId={request.id} files={attachments} label={say('given.files')} />
        </Part>
      )}
    </>
  )
}

const outcomes = ['executed', 'failed', 'unknown'] as const

/** What happened when the agent carried the answer out, in the agent's words. */
export function Outcome({ request: { outcome } }: { readonly request: Schemas['Request'] }) {
  if (outcome === null) return null
  const status = outcomes.find((one) => one === outcome.status) ?? 'unknown'
  return (
    <Part label={say('outcome.title')}>
      <p className={`font-medium ${status === 'failed' ? 'text-critical' : ''}`}>{say(`outcome.${status}`)}</p>
      {outcome.detail === null ? null : <MarkdownView text={outcome.detail} />}
      {outcome.data === null ? null : <RecordView value={outcome.data} place={['outcome']} hints={none} />}
    </Part>
  )
}
