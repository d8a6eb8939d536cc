import '../words/later.ts'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import type { FormEvent } from 'react'
import { api, type Schemas } from '../api/client.ts'
import { organizationQuery } from '../api/counts.ts'
import { usePages } from '../api/pages.ts'
import { usePerson } from '../api/person.ts'
import { granted } from '../api/refused.ts'
import { Button } from '../design/button.tsx'
import { Check } from '../design/check.tsx'
import { Field } from '../design/field.tsx'
import { ActButton, FormDialog, given } from '../design/form-dialog.tsx'
import { Section } from '../design/page.tsx'
import { Select } from '../design/select.tsx'
import { Trouble } from '../design/trouble.tsx'
import { When } from '../design/when.tsx'
import { say } from '../words/say.ts'

export function OrganizationPage() {
  const { data: organization, error } = useQuery(organizationQuery)
  if (organization === undefined) return <Trouble of={error} />
  return (
    <>
      <General organization={organization} />
      <Keeping />
      <Handover />
      <Deletion organization={organization} />
    </>
  )
}

type Organization = Schemas['Organization']

function General({ organization }: { readonly organization: Organization }) {
  const queryClient = useQueryClient()
  const changing = useMutation({
    mutationFn: (form: FormData) =>
      granted(
        api.PATCH('/api/v1/organization', {
          body: {
            name: given(form, 'name') ?? organization.name,
            require_step_up: form.get('require_step_up') !== null,
          },
        }),
      ),
    onSuccess: () => queryClient.invalidateQueries(organizationQuery),
  })
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault()
    changing.mutate(new FormData(event.currentTarget))
  }
  return (
    <Section title={say('settings.organization')}>
      <form className="grid max-w-md gap-4" onSubmit={submit}>
        <Field label={say('organization.name')} name="name" defaultValue={organization.name} required maxLength={255} />
        <Check
          label={say('organization.step_up')}
          about={say('organization.step_up.about')}
          name="require_step_up"
          defaultChecked={organization.require_step_up}
        />
        <Button type="submit" className="justify-self-start" disabled={changing.isPending}>
          {say('organization.save')}
        </Button>
        <Trouble of={changing.error} />
        <p role="status" className="text-mute">
          {changing.isSuccess ? say('profile.saved') : ''}
        </p>
      </form>
    </Section>
  )
}

const policyQuery = { queryKey: ['audit-policy'], queryFn: () => granted(api.GET('/api/v1/events/policy')) }

/** How long the audit is kept. */
function Keeping() {
  const queryClient = useQueryClient()
  const { data: policy } = useQuery(policyQuery)
  const change = async (form: FormData): Promise<void> => {
    const days = given(form, 'days')
    const body = {
      retention_days: days === null ? null : Number(days),
      legal_hold: form.get('hold') !== null,
      reason: given(form, 'reason') ?? '',
    }
    await granted(api.PATCH('/api/v1/events/policy', { body }))
    await queryClient.invalidateQueries(policyQuery)
  }
  if (policy === undefined) return null
  const { retention_days, legal_hold } = policy
  return (
    <Section
      title={say('keeping.title')}
      about={
        legal_hold
          ? say('keeping.held')
          : retention_days === null
            ? say('keeping.forever')
            : say('keeping.days', { days: retention_days })
      }
      actions={
        <FormDialog text={say('people.change')} name={say('keeping.change')} send={change}>
          <Field
            label={say('keeping.days.label')}
            name="days"
            type="number"
            min={184}
            max={36500}
            defaultValue={retention_days ?? ''}
          />
          <Check
            label={say('keeping.hold')}
            about={say('keeping.hold.about')}
            name="hold"
            defaultChecked={legal_hold}
          />
          <Field label={say('keeping.reason')} name="reason" required maxLength={1000} />
        </FormDialog>
      }
    >
      {null}
    </Section>
  )
}

function Handover() {
  const me = usePerson()
  const people = usePages(['people'], (cursor, signal) =>
    granted(api.GET('/api/v1/users', { params: { query: { limit: 100, ...cursor } }, signal })),
  )
  const others = (people.items ?? []).filter(({ id, is_active }) => id !== me.id && is_active)
  const transfer = async (form: FormData): Promise<void> => {
    await granted(api.POST('/api/v1/organization/transfer', { body: { user_id: String(form.get('person')) } }))
    location.reload()
  }
  return (
    <Section
      title={say('handover.title')}
      about={say(others.length === 0 ? 'handover.alone' : 'handover.about')}
      actions={
        others.length === 0 ? undefined : (
          <FormDialog text={say('handover.button')} name={say('handover.button')} kind="danger" send={transfer}>
            <p className="text-mute">{say('handover.about')}</p>
            <Select
              label={say('handover.person')}
              name="person"
              options={others.map(({ id, name, email }) => [id, name ?? email])}
            />
          </FormDialog>
        )
      }
    >
      {null}
    </Section>
  )
}

function Deletion({ organization }: { readonly organization: Organization }) {
  const { role } = usePerson()
  const queryClient = useQueryClient()
  const restoring = useMutation({
    mutationFn: () => granted(api.POST('/api/v1/organization/restore')),
    onSuccess: () => queryClient.invalidateQueries(organizationQuery),
  })
  const remove = async (name: string): Promise<void> => {
    await granted(api.POST('/api/v1/organization/delete', { body: { name } }))
    await queryClient.invalidateQueries(organizationQuery)
  }
  if (role !== 'owner') return null
  const { delete_after, name } = organization
  return (
    <Section
      title={say('deletion.title')}
      about={say('deletion.about')}
      actions={
        delete_after === null ? (
          <ActButton
            text={say('act.delete')}
            name={say('deletion.name')}
            kind="danger"
            about={say('deletion.type', { name })}
            field={{ label: say('organization.name'), required: true }}
            act={remove}
          />
        ) : (
          <Button disabled={restoring.isPending} onClick={() => restoring.mutate()}>
            {say('deletion.restore')}
          </Button>
        )
      }
    >
      <Trouble of={restoring.error} />
      {delete_after === null ? null : (
        <p className="text-critical">
          {say('deletion.due')} <When at={delete_after} />
        </p>
      )}
    </Section>
  )
}
