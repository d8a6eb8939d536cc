import '../words/later.ts'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { usePersonName } from '../api/names.ts'
import type { Request } from '../api/requests.ts'
import { type Revision, revisionsQuery } from '../api/revisions.ts'
import { Select } from '../design/select.tsx'
import { useNow } from '../design/use-now.ts'
import { CodeView } from '../rendering/code-view.tsx'
import { ChangeView } from '../rendering/value-view.tsx'
import { say } from '../words/say.ts'
import { relative } from '../words/times.ts'
import { askedParts } from './asked.ts'
import { changesBetween } from './changes.ts'

export interface RevisionsProps {
  readonly request: Request
  /** The one to begin with: what the person looked at, or else the one before. */
  readonly since: number
}

/** What the agent asked before, each earlier revision against the one that counts. */
export function Revisions({ request, since }: RevisionsProps) {
  const { data, error } = useQuery(revisionsQuery(request))
  const [chosen, setChosen] = useState(since)
  const now = useNow()
  if (error !== null) {
    return (
      <p role="alert" className="text-critical">
        {error.message}
      </p>
    )
  }
  const before = data?.find(({ revision }) => revision === chosen) ?? data?.[0]
  if (data === undefined || before === undefined) return <p className="text-mute">{say('revisions.reading')}</p>
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-3">
      <Select
        label={say('revisions.compared')}
        className="max-w-xs"
        value={String(before.revision)}
        onChange={({ target }) => setChosen(Number(target.value))}
        options={data.map(({ revision, created_at, revised_at }) => [
          String(revision),
          say('revisions.one', { revision, time: relative(new Date(revised_at ?? created_at), now) }),
        ])}
      />
      <Compared key={before.revision} request={request} before={before} />
    </div>
  )
}

function Compared({ request, before }: { readonly request: Request; readonly before: Revision }) {
  const [isWhole, setWhole] = useState(false)
  if (before.erased_at !== null) return <p className="text-mute">{say('revisions.erased')}</p>
  const changes = changesBetween(before, request)
  const { revision } = before
  return (
    <>
      <Answered revision={before} />
      {changes.length === 0 ? <p className="text-mute">{say('revisions.same')}</p> : null}
      {changes.map(({ label, before: was, after }) => (
        <div key={label} className="grid grid-cols-[minmax(0,1fr)] gap-1">
          <h2 className="text-mute text-small">{say(label)}</h2>
          <ChangeView
            before={was}
            after={after}
            language={null}
            label={say('revisions.change', { what: say(label), revision })}
          />
        </div>
      ))}
      <button
        type="button"
        aria-expanded={isWhole}
        className="justify-self-start text-accent text-small pointer-coarse:min-h-11"
        onClick={() => setWhole(!isWhole)}
      >
        {say('revisions.whole', { revision })}
      </button>
      {isWhole ? (
        <CodeView
          text={JSON.stringify(askedParts(before), null, 2)}
          language="json"
          label={say('revisions.whole', { revision })}
        />
      ) : null}
    </>
  )
}

const decided = ['approve', 'reject', 'request_changes', 'acknowledge'] as const

/** What a person said to it. */
function Answered({ revision: { response } }: { readonly revision: Revision }) {
  const person = usePersonName(response?.responder_id ?? null)
  if (response === null) return null
  const known = decided.find((each) => each === response.decision)
  return (
    <div>
      <p className="text-mute">
        <bdi className="font-medium text-ink">{person ?? say('person.someone')}</bdi>{' '}
        {say(known === undefined ? 'verdict.answered' : `verdict.${known}`)}
      </p>
      {response.comment === null ? null : (
        <p className="mt-1 whitespace-pre-wrap break-words" dir="auto">
          {response.comment}
        </p>
      )}
    </div>
  )
}
