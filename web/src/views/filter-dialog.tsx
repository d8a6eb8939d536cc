import { useQuery } from '@tanstack/react-query'
import type { FormEvent, ReactNode } from 'react'
import { agentsQuery, usePersonName } from '../api/names.ts'
import { session } from '../api/session.ts'
import { Button } from '../design/button.tsx'
import { Check } from '../design/check.tsx'
import { Field } from '../design/field.tsx'
import { given } from '../design/form-dialog.tsx'
import { Modal } from '../design/modal.tsx'
import { Select } from '../design/select.tsx'
import '../words/later.ts'
import { say } from '../words/say.ts'
import { dayOf, type Filters, instantOf } from './filters.ts'

export interface FilterDialogProps {
  readonly filters: Filters
  /** The list has requests that are decided. */
  readonly hasDecided: boolean
  readonly onChoose: (filters: Filters) => void
  readonly onClose: () => void
}

const risks = ['low', 'medium', 'high', 'critical'] as const
const priorities = ['low', 'normal', 'high', 'urgent'] as const
const sorts = ['due', 'newest', 'oldest', 'priority'] as const
const decisions = ['approve', 'reject', 'request_changes', 'acknowledge'] as const

/** What the list is narrowed to, and its order. Filters of the address that it has no input for stay. */
export function FilterDialog({ filters, hasDecided, onChoose, onClose }: FilterDialogProps) {
  const { data: agents } = useQuery(agentsQuery)
  const state = session.get()
  const me = state.status === 'signed-in' ? state.user.id : ''
  const { responded_by: decider = '' } = filters
  const deciderName = usePersonName(decider === '' || decider === me ? null : decider)
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const several = (name: string): string | null => form.getAll(name).join(',') || null
    /** A day that was not changed keeps its time. */
    const timeOf = (name: string): string | null => {
      const day = given(form, name)
      return day === null ? null : day === dayOf(filters[name]) ? (filters[name] ?? null) : instantOf(day)
    }
    const chosen: Readonly<Record<string, string | null>> = {
      risk: several('risk'),
      priority: several('priority'),
      agent: given(form, 'agent'),
      tag: given(form, 'tag'),
      run_id: given(form, 'run_id'),
      sort: given(form, 'sort'),
      created_after: timeOf('created_after'),
      created_before: timeOf('created_before'),
      ...(hasDecided && {
        decision: given(form, 'decision'),
        responded_by: given(form, 'responded_by'),
        responded_after: timeOf('responded_after'),
        responded_before: timeOf('responded_before'),
      }),
    }
    const all = Object.entries({ ...filters, ...chosen })
    onChoose(Object.fromEntries(all.flatMap(([name, value]) => (value === null ? [] : [[name, value]]))))
  }
  const { agent = '' } = filters
  const known = [...(agents ?? [])]
  const offered = agent === '' || agents?.has(agent) ? known : [...known, [agent, agent] as const]
  return (
    <Modal title={say('views.filter.title')} onClose={onClose}>
      <form className="grid gap-4 px-5 pt-3 pb-5" onSubmit={submit}>
        <Several label={say('views.filter.risk')}>
          {risks.map((risk) => (
            <Check
              key={risk}
              name="risk"
              value={risk}
              label={say(`risk.${risk}`)}
              defaultChecked={filters.risk?.split(',').includes(risk)}
            />
          ))}
        </Several>
        <Several label={say('views.filter.priority')}>
          {priorities.map((priority) => (
            <Check
              key={priority}
              name="priority"
              value={priority}
              label={say(`views.priority.${priority}`)}
              defaultChecked={filters.priority?.split(',').includes(priority)}
            />
          ))}
        </Several>
        <div className="grid gap-3 sm:grid-cols-2">
          <Select
            // The names arrive after the first paint, and what is chosen is among them.
            key={String(agents === undefined)}
            label={say('views.filter.agent')}
            name="agent"
            defaultValue={agent}
            options={[['', say('views.any')], ...offered]}
          />
          <Select
            label={say('views.filter.sort')}
            name="sort"
            defaultValue={filters.sort ?? ''}
            options={[
              ['', say('views.sort.usual')],
              ...sorts.map((sort) => [sort, say(`views.sort.${sort}`)] as const),
            ]}
          />
          <Field label={say('views.filter.tag')} name="tag" maxLength={64} defaultValue={filters.tag} />
          <Field label={say('views.filter.run_id')} name="run_id" maxLength={255} defaultValue={filters.run_id} />
          <Day name="created_after" filters={filters} />
          <Day name="created_before" filters={filters} />
          {hasDecided ? (
            <>
              <Select
                label={say('views.filter.decision')}
                name="decision"
                defaultValue={filters.decision ?? ''}
                options={[['', say('views.any')], ...decisions.map((one) => [one, say(`decided.${one}`)] as const)]}
              />
              <Select
                key={String(deciderName)}
                label={say('views.filter.responded_by')}
                name="responded_by"
                defaultValue={decider}
                options={[
                  ['', say('views.anybody')],
                  [me, say('views.me')],
                  ...(decider === '' || decider === me ? [] : [[decider, deciderName ?? decider] as const]),
                ]}
              />
              <Day name="responded_after" filters={filters} />
              <Day name="responded_before" filters={filters} />
            </>
          ) : null}
        </div>
        <div className="flex flex-wrap justify-end gap-2">
          <Button onClick={onClose}>{say('cancel')}</Button>
          <Button kind="primary" type="submit">
            {say('views.apply')}
          </Button>
        </div>
      </form>
    </Modal>
  )
}

interface DayProps {
  readonly name: 'created_after' | 'created_before' | 'responded_after' | 'responded_before'
  readonly filters: Filters
}

/** A day where the person is. */
const Day = ({ name, filters }: DayProps) => (
  <Field
    label={say(`views.filter.${name}`)}
    name={name}
    type="date"
    max="9999-12-31"
    defaultValue={dayOf(filters[name])}
  />
)

function Several({ label, children }: { readonly label: string; readonly children: ReactNode }) {
  return (
    <fieldset>
      <legend className="mb-1 font-medium text-mute text-small">{label}</legend>
      <div className="flex flex-wrap gap-x-4 gap-y-2">{children}</div>
    </fieldset>
  )
}
