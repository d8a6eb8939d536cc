import { useQuery } from '@tanstack/react-query'
import type { FormEvent, ReactNode } from 'react'
import { agentsQuery } from '../api/names.ts'
import { Button } from '../design/button.tsx'
import { Check } from '../design/check.tsx'
import { Field } from '../design/field.tsx'
import { given } from '../design/form-dialog.tsx'
import { Modal } from '../design/modal.tsx'
import { Select } from '../design/select.tsx'
import '../words/later.ts'
import { say } from '../words/say.ts'
import type { Filters } from './filters.ts'

export interface FilterDialogProps {
  readonly filters: Filters
  readonly onChoose: (filters: Filters) => void
  readonly onClose: () => void
}

const risks = ['low', 'medium', 'high', 'critical'] as const
const priorities = ['low', 'normal', 'high', 'urgent'] as const
const sorts = ['due', 'newest', 'oldest', 'priority'] as const

/** What the list is narrowed to, and its order. Filters of the address that it has no input for stay. */
export function FilterDialog({ filters, onChoose, onClose }: FilterDialogProps) {
  const { data: agents } = useQuery(agentsQuery)
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const several = (name: string): string | null => form.getAll(name).join(',') || null
    const chosen: Readonly<Record<string, string | null>> = {
      risk: several('risk'),
      priority: several('priority'),
      agent: given(form, 'agent'),
      tag: given(form, 'tag'),
      run_id: given(form, 'run_id'),
      sort: given(form, 'sort'),
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

function Several({ label, children }: { readonly label: string; readonly children: ReactNode }) {
  return (
    <fieldset>
      <legend className="mb-1 font-medium text-mute text-small">{label}</legend>
      <div className="flex flex-wrap gap-x-4 gap-y-2">{children}</div>
    </fieldset>
  )
}
