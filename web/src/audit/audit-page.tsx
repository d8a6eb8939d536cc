import '../words/later.ts'
import { useMutation, useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { type FormEvent, useId } from 'react'
import { api, type Schemas } from '../api/client.ts'
import { download } from '../api/download.ts'
import { usePages } from '../api/pages.ts'
import { granted } from '../api/refused.ts'
import { Button } from '../design/button.tsx'
import { Field } from '../design/field.tsx'
import { given } from '../design/form-dialog.tsx'
import { List } from '../design/list.tsx'
import { Page } from '../design/page.tsx'
import { Mark } from '../design/rows.tsx'
import { Select } from '../design/select.tsx'
import { Trouble } from '../design/trouble.tsx'
import { say } from '../words/say.ts'
import { EventRow } from './event-row.tsx'
import type { AuditFilter } from './filter.ts'

const actorKinds = ['person', 'agent', 'timer', 'system', 'anonymous'] as const

/** Who did what, and when; the filter is in the address, so that a finding can be sent to somebody. */
export function AuditPage() {
  const filter = useSearch({ from: '/inside/audit' })
  const events = usePages(['events', filter], (cursor, signal) => {
    const query = { limit: 50, ...(filter as Record<string, never>), ...cursor }
    return granted(api.GET('/api/v1/events', { params: { query }, signal }))
  })
  return (
    <Page title={say('audit.title')} about={say('audit.about')} actions={<Exports filter={filter} />}>
      <SealState />
      <Filters filter={filter} kinds={[...new Set(events.items?.map(({ kind }) => kind))]} />
      <List label={say('audit.title')} pages={events} empty={say('audit.empty')}>
        {(event) => <EventRow key={event.id} event={event} />}
      </List>
    </Page>
  )
}

/** What the service itself knows; the proof is `hitl audit verify` on an export. */
function SealState() {
  const { data } = useQuery({
    queryKey: ['health'],
    // 503 has the same body: it says what is not in order.
    queryFn: async (): Promise<Schemas['Health'] | undefined> => {
      const { data: health, error } = await api.GET('/health')
      return health ?? (error as unknown as Schemas['Health'] | undefined)
    },
  })
  if (data?.checks === undefined) return null
  const isFine = data.checks.audit === 'ok'
  return (
    <p className="flex flex-wrap items-center gap-2 text-mute">
      <Mark tone={isFine ? 'good' : 'bad'}>{say(isFine ? 'audit.sealed' : 'audit.not_sealed')}</Mark>
      {say('audit.verify')}
    </p>
  )
}

function Exports({ filter: { since, until } }: { readonly filter: AuditFilter }) {
  const exporting = useMutation({
    mutationFn: (format: 'jsonl' | 'csv') => download(`/api/v1/events/export?format=${format}`, `audit.${format}`),
  })
  const reporting = useMutation({
    mutationFn: () => {
      const period = Object.entries({ since, until }).filter((entry) => entry[1] !== undefined) as [string, string][]
      const query = new URLSearchParams([['format', 'html'], ...period])
      return download(`/api/v1/events/report?${query}`, 'compliance.html')
    },
  })
  return (
    <>
      <Button disabled={exporting.isPending} onClick={() => exporting.mutate('jsonl')}>
        {say('audit.export.jsonl')}
      </Button>
      <Button disabled={exporting.isPending} onClick={() => exporting.mutate('csv')}>
        {say('audit.export.csv')}
      </Button>
      <Button disabled={reporting.isPending} onClick={() => reporting.mutate()} title={say('audit.report.about')}>
        {say('audit.report')}
      </Button>
      <Trouble of={exporting.error ?? reporting.error} />
    </>
  )
}

function Filters({ filter, kinds }: { readonly filter: AuditFilter; readonly kinds: readonly string[] }) {
  const navigate = useNavigate()
  const list = useId()
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const local = (name: string): string | null => {
      const value = given(form, name)
      return value === null ? null : new Date(value).toISOString()
    }
    const chosen = {
      kind: given(form, 'kind'),
      actor_kind: given(form, 'actor_kind'),
      subject_id: given(form, 'subject_id'),
      since: local('since'),
      until: local('until'),
    }
    const search = Object.fromEntries(Object.entries(chosen).filter(([, value]) => value !== null))
    void navigate({ to: '/audit', search: search as AuditFilter })
  }
  return (
    <form
      // What is typed follows the address, also on the way back.
      key={JSON.stringify(filter)}
      className="grid items-end gap-3 wide:grid-cols-[repeat(5,minmax(0,1fr))_auto]"
      onSubmit={submit}
      aria-label={say('audit.filter')}
    >
      <Field label={say('audit.kind')} name="kind" list={list} defaultValue={filter.kind} maxLength={100} />
      <datalist id={list}>
        {kinds.map((kind) => (
          <option key={kind} value={kind} />
        ))}
      </datalist>
      <Select
        label={say('audit.actor')}
        name="actor_kind"
        defaultValue={filter.actor_kind ?? ''}
        options={[['', say('filter.all')], ...actorKinds.map((kind): [string, string] => [kind, say(`actor.${kind}`)])]}
      />
      <Field label={say('audit.subject')} name="subject_id" defaultValue={filter.subject_id} maxLength={36} />
      <Field label={say('audit.since')} name="since" type="datetime-local" defaultValue={inputTime(filter.since)} />
      <Field label={say('audit.until')} name="until" type="datetime-local" defaultValue={inputTime(filter.until)} />
      <Button type="submit">{say('audit.apply')}</Button>
    </form>
  )
}

/** In the reader's own time, to the minute, as the input takes it. */
function inputTime(at: string | undefined): string | undefined {
  if (at === undefined) return undefined
  const time = new Date(at)
  return new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
}
