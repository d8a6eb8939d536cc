import '../words/later.ts'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { type FormEvent, useState } from 'react'
import { api } from '../api/client.ts'
import { manages, usePerson } from '../api/person.ts'
import { granted } from '../api/refused.ts'
import { rememberUser, switchOrganization } from '../api/session.ts'
import { Button } from '../design/button.tsx'
import { Field } from '../design/field.tsx'
import { FormDialog, given } from '../design/form-dialog.tsx'
import { List } from '../design/list.tsx'
import { Section } from '../design/page.tsx'
import { Mark, Row } from '../design/rows.tsx'
import { Trouble } from '../design/trouble.tsx'
import { say } from '../words/say.ts'
import { roleWord } from './roles.ts'

export function ProfilePage() {
  return (
    <>
      <Profile />
      <Address />
      <Organizations />
    </>
  )
}

function Profile() {
  const person = usePerson()
  const naming = useMutation({
    mutationFn: (form: FormData) =>
      granted(
        api.PATCH('/api/v1/users/{id}', { params: { path: { id: person.id } }, body: { name: given(form, 'name') } }),
      ),
    onSuccess: rememberUser,
  })
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault()
    naming.mutate(new FormData(event.currentTarget))
  }
  return (
    <Section title={say('settings.profile')}>
      <form className="grid max-w-md gap-4" onSubmit={submit}>
        <Field
          label={say('profile.name')}
          name="name"
          defaultValue={person.name ?? ''}
          maxLength={255}
          autoComplete="name"
          readOnly={!manages(person)}
        />
        {manages(person) ? (
          <Button type="submit" className="justify-self-start" disabled={naming.isPending}>
            {say('profile.save')}
          </Button>
        ) : (
          <p className="text-mute text-small">{say('profile.name.about')}</p>
        )}
        <Trouble of={naming.error} />
        <p role="status" className="text-mute">
          {naming.isSuccess ? say('profile.saved') : ''}
        </p>
      </form>
    </Section>
  )
}

function Address() {
  const { email } = usePerson()
  const [sent, setSent] = useState('')
  const verifying = useMutation({
    mutationFn: () => granted(api.POST('/api/v1/auth/email/verification')),
    onSuccess: ({ detail }) => setSent(detail),
  })
  const change = async (form: FormData): Promise<void> => {
    const body = { email: given(form, 'email') ?? '', current_password: String(form.get('password')) }
    const { detail } = await granted(api.POST('/api/v1/auth/email/change', { body }))
    setSent(detail)
  }
  return (
    <Section
      title={say('profile.email')}
      about={say('profile.email.about', { email })}
      actions={
        <>
          <Button onClick={() => verifying.mutate()} disabled={verifying.isPending}>
            {say('profile.email.verify')}
          </Button>
          <FormDialog text={say('profile.email.change')} name={say('profile.email.change.name')} send={change}>
            <Field label={say('profile.email.new')} name="email" type="email" autoComplete="email" required />
            <Field
              label={say('profile.password.current')}
              name="password"
              type="password"
              autoComplete="current-password"
              maxLength={1000}
            />
          </FormDialog>
        </>
      }
    >
      <Trouble of={verifying.error} />
      <p role="status">{sent}</p>
    </Section>
  )
}

const organizationsQuery = {
  queryKey: ['organizations'],
  queryFn: () => granted(api.GET('/api/v1/organizations')),
}

function Organizations() {
  const { data, error } = useQuery(organizationsQuery)
  const person = usePerson()
  const queryClient = useQueryClient()
  const navigate = useNavigate()
  const switching = useMutation({
    mutationFn: switchOrganization,
    onSuccess: () => navigate({ to: '/' }),
  })
  const create = async (form: FormData): Promise<void> => {
    await granted(api.POST('/api/v1/organizations', { body: { name: given(form, 'name') ?? '' } }))
    await queryClient.invalidateQueries(organizationsQuery)
  }
  return (
    <Section
      title={say('profile.organizations')}
      actions={
        manages(person) ? (
          <FormDialog text={say('organization.create')} name={say('organization.create')} send={create}>
            <Field label={say('organization.name')} name="name" required maxLength={255} />
          </FormDialog>
        ) : undefined
      }
    >
      <Trouble of={switching.error} />
      <List label={say('profile.organizations')} pages={{ items: data?.items, error }} empty="">
        {({ organization, role, is_current }) => (
          <Row
            key={organization.id}
            title={<bdi>{organization.name}</bdi>}
            detail={roleWord(role)}
            mark={is_current ? <Mark tone="good">{say('profile.organizations.current')}</Mark> : null}
          >
            {is_current ? null : (
              <Button
                aria-label={say('profile.organizations.switch.name', { name: organization.name })}
                disabled={switching.isPending}
                onClick={() => switching.mutate(organization.id)}
              >
                {say('profile.organizations.switch')}
              </Button>
            )}
          </Row>
        )}
      </List>
    </Section>
  )
}
