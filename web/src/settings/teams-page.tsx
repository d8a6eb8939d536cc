import '../words/later.ts'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, type Schemas } from '../api/client.ts'
import { usePersonName } from '../api/names.ts'
import { usePages } from '../api/pages.ts'
import { manages, usePerson } from '../api/person.ts'
import { granted } from '../api/refused.ts'
import { Button } from '../design/button.tsx'
import { Check } from '../design/check.tsx'
import { Field } from '../design/field.tsx'
import { ActButton, FormDialog, given } from '../design/form-dialog.tsx'
import { List } from '../design/list.tsx'
import { Section } from '../design/page.tsx'
import { Mark, Row } from '../design/rows.tsx'
import { Select } from '../design/select.tsx'
import { Trouble } from '../design/trouble.tsx'
import { say } from '../words/say.ts'

type Team = Schemas['Team']

export function TeamsPage() {
  const isManager = manages(usePerson())
  const queryClient = useQueryClient()
  const teams = usePages(['teams'], (cursor, signal) =>
    granted(api.GET('/api/v1/teams', { params: { query: { limit: 100, ...cursor } }, signal })),
  )
  const [open, setOpen] = useState<string | null>(null)
  const changed = (): Promise<void> => queryClient.invalidateQueries({ queryKey: ['teams'] })
  const create = async (form: FormData): Promise<void> => {
    const body = { name: given(form, 'name') ?? '', description: given(form, 'description') }
    await granted(api.POST('/api/v1/teams', { body }))
    await changed()
  }
  return (
    <Section
      title={say('settings.teams')}
      actions={
        isManager ? (
          <FormDialog text={say('teams.create')} name={say('teams.create')} kind="primary" send={create}>
            <TeamFields />
          </FormDialog>
        ) : undefined
      }
    >
      <List label={say('settings.teams')} pages={teams} empty={say('teams.empty')}>
        {(team) => (
          <Row
            key={team.id}
            title={<bdi>{team.name}</bdi>}
            detail={team.description === null ? undefined : <bdi>{team.description}</bdi>}
            below={open === team.id ? <Members team={team} /> : null}
          >
            <Button
              aria-expanded={open === team.id}
              aria-label={say('teams.members.name', { name: team.name })}
              onClick={() => setOpen(open === team.id ? null : team.id)}
            >
              {say('teams.members')}
            </Button>
            {isManager ? <Managed team={team} onChange={changed} /> : null}
          </Row>
        )}
      </List>
    </Section>
  )
}

function TeamFields({ team }: { readonly team?: Team }) {
  return (
    <>
      <Field label={say('teams.name')} name="name" defaultValue={team?.name} required maxLength={255} />
      <Field
        label={say('teams.description')}
        name="description"
        defaultValue={team?.description ?? ''}
        maxLength={1000}
      />
    </>
  )
}

function Managed({ team, onChange }: { readonly team: Team; readonly onChange: () => Promise<void> }) {
  const params = { path: { id: team.id } }
  const change = async (form: FormData): Promise<void> => {
    const body = { name: given(form, 'name') ?? team.name, description: given(form, 'description') }
    await granted(api.PATCH('/api/v1/teams/{id}', { params, body }))
    await onChange()
  }
  const remove = async (): Promise<void> => {
    await granted(api.DELETE('/api/v1/teams/{id}', { params }))
    await onChange()
  }
  return (
    <>
      <FormDialog text={say('people.change')} name={say('people.change.name', { name: team.name })} send={change}>
        <TeamFields team={team} />
      </FormDialog>
      <ActButton
        text={say('act.delete')}
        name={say('act.delete.what', { name: team.name })}
        kind="danger"
        about={say('teams.delete.about')}
        act={remove}
      />
    </>
  )
}

function Members({ team }: { readonly team: Team }) {
  const queryClient = useQueryClient()
  const queryKey = ['team-members', team.id]
  const path = { id: team.id }
  const members = usePages(queryKey, (cursor, signal) =>
    granted(api.GET('/api/v1/teams/{id}/members', { params: { path, query: { limit: 100, ...cursor } }, signal })),
  )
  const people = usePages(['people'], (cursor, signal) =>
    granted(api.GET('/api/v1/users', { params: { query: { limit: 100, ...cursor } }, signal })),
  )
  const changed = (): Promise<void> => queryClient.invalidateQueries({ queryKey })
  const removing = useMutation({
    mutationFn: (user_id: string) =>
      granted(api.DELETE('/api/v1/teams/{id}/members/{user_id}', { params: { path: { ...path, user_id } } })),
    onSuccess: changed,
  })
  const put = async (form: FormData): Promise<void> => {
    const params = { path: { ...path, user_id: String(form.get('person')) } }
    const body = { is_lead: form.get('lead') !== null }
    await granted(api.PUT('/api/v1/teams/{id}/members/{user_id}', { params, body }))
    await changed()
  }
  const names = (people.items ?? []).map(({ id, name, email }): [string, string] => [id, name ?? email])
  return (
    <div className="grid gap-3">
      <List label={say('teams.members.name', { name: team.name })} pages={members} empty={say('teams.members.empty')}>
        {({ user_id, is_lead }) => (
          <MemberRow
            key={user_id}
            id={user_id}
            isLead={is_lead}
            onRemove={() => removing.mutate(user_id)}
            isBusy={removing.isPending}
          />
        )}
      </List>
      <Trouble of={removing.error} />
      <div>
        <FormDialog
          text={say('teams.members.add')}
          name={say('teams.members.add.name', { name: team.name })}
          send={put}
        >
          <Select label={say('teams.members.person')} name="person" options={names} />
          <Check label={say('teams.members.lead')} about={say('teams.members.lead.about')} name="lead" />
        </FormDialog>
      </div>
    </div>
  )
}

interface MemberRowProps {
  readonly id: string
  readonly isLead: boolean
  readonly isBusy: boolean
  readonly onRemove: () => void
}

function MemberRow({ id, isLead, isBusy, onRemove }: MemberRowProps) {
  const name = usePersonName(id) ?? ''
  return (
    <Row title={<bdi>{name}</bdi>} mark={isLead ? <Mark>{say('teams.members.is_lead')}</Mark> : null}>
      <Button aria-label={say('act.remove.what', { name })} disabled={isBusy} onClick={onRemove}>
        {say('act.remove')}
      </Button>
    </Row>
  )
}
