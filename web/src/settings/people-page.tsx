import '../words/later.ts'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { api, type Schemas } from '../api/client.ts'
import { usePages } from '../api/pages.ts'
import { manages, usePerson } from '../api/person.ts'
import { granted } from '../api/refused.ts'
import { Field } from '../design/field.tsx'
import { ActButton, FormDialog, given, ShowDialog } from '../design/form-dialog.tsx'
import { List } from '../design/list.tsx'
import { Section } from '../design/page.tsx'
import { Mark, Row } from '../design/rows.tsx'
import { Copied } from '../design/secret.tsx'
import { Select } from '../design/select.tsx'
import { When } from '../design/when.tsx'
import { say } from '../words/say.ts'
import { type grantableRoles, roleOptions, roleWord } from './roles.ts'
import { SessionRow } from './session-row.tsx'

type Role = (typeof grantableRoles)[number]

export function PeoplePage() {
  const isManager = manages(usePerson())
  return (
    <>
      <People isManager={isManager} />
      {isManager ? <Invitations /> : null}
    </>
  )
}

function People({ isManager }: { readonly isManager: boolean }) {
  const me = usePerson()
  const queryClient = useQueryClient()
  const people = usePages(['people'], (cursor, signal) =>
    granted(api.GET('/api/v1/users', { params: { query: { limit: 100, ...cursor } }, signal })),
  )
  const change = async (id: string, body: Schemas['UserChanges']): Promise<void> => {
    await granted(api.PATCH('/api/v1/users/{id}', { params: { path: { id } }, body }))
    await queryClient.invalidateQueries({ queryKey: ['people'] })
  }
  return (
    <Section title={say('settings.people')}>
      <List label={say('settings.people')} pages={people} empty="">
        {(person) => (
          <Row
            key={person.id}
            title={<bdi>{person.name ?? person.email}</bdi>}
            detail={
              <>
                <bdi>{person.email}</bdi>
                {` · ${roleWord(person.role)}`}
              </>
            }
            mark={
              person.id === me.id ? (
                <Mark>{say('people.you')}</Mark>
              ) : person.is_active ? null : (
                <Mark tone="warning">{say('people.inactive')}</Mark>
              )
            }
          >
            {isManager && person.id !== me.id && person.role !== 'owner' ? (
              <Managed person={person} onChange={(body) => change(person.id, body)} />
            ) : null}
          </Row>
        )}
      </List>
    </Section>
  )
}

interface ManagedProps {
  readonly person: Schemas['User']
  readonly onChange: (body: Schemas['UserChanges']) => Promise<void>
}

function Managed({ person, onChange }: ManagedProps) {
  const called = person.name ?? person.email
  return (
    <>
      <FormDialog
        text={say('people.change')}
        name={say('people.change.name', { name: called })}
        send={(form) => onChange({ name: given(form, 'name'), role: String(form.get('role')) as Role })}
      >
        <Field label={say('profile.name')} name="name" defaultValue={person.name ?? ''} maxLength={255} />
        <Select label={say('people.role')} name="role" defaultValue={person.role} options={roleOptions()} />
      </FormDialog>
      <ShowDialog text={say('people.sessions')} name={say('people.sessions.name', { name: called })}>
        <SessionsOf id={person.id} />
      </ShowDialog>
      {person.is_active ? (
        <ActButton
          text={say('people.deactivate')}
          name={say('people.deactivate.name', { name: called })}
          kind="danger"
          about={say('people.deactivate.about')}
          act={() => onChange({ is_active: false })}
        />
      ) : (
        <ActButton
          text={say('people.activate')}
          name={say('people.activate.name', { name: called })}
          about={say('people.activate.about')}
          act={() => onChange({ is_active: true })}
        />
      )}
    </>
  )
}

function SessionsOf({ id }: { readonly id: string }) {
  const queryClient = useQueryClient()
  const query = {
    queryKey: ['sessions', id],
    queryFn: () => granted(api.GET('/api/v1/users/{id}/sessions', { params: { path: { id } } })),
  }
  const { data, error } = useQuery(query)
  const end = async (session_id: string): Promise<void> => {
    const params = { path: { id, session_id } }
    await granted(api.POST('/api/v1/users/{id}/sessions/{session_id}/revoke', { params }))
    await queryClient.invalidateQueries(query)
  }
  return (
    <List label={say('people.sessions')} pages={{ items: data?.items, error }} empty={say('people.sessions.empty')}>
      {(each) => (
        <SessionRow key={each.id} session={each}>
          <ActButton
            text={say('sessions.end')}
            name={say('sessions.end.name', { what: each.user_agent ?? each.kind })}
            kind="danger"
            about={say('sessions.end.about')}
            act={() => end(each.id)}
          />
        </SessionRow>
      )}
    </List>
  )
}

function Invitations() {
  const queryClient = useQueryClient()
  const open = usePages(['invitations'], (cursor, signal) =>
    granted(api.GET('/api/v1/invitations', { params: { query: { limit: 100, ...cursor } }, signal })),
  )
  const changed = (): Promise<void> => queryClient.invalidateQueries({ queryKey: ['invitations'] })
  const invite = async (form: FormData): Promise<Schemas['Invitation']> => {
    const body = { email: given(form, 'email'), role: String(form.get('role')) as Role }
    const invitation = await granted(api.POST('/api/v1/invitations', { body }))
    await changed()
    return invitation
  }
  const revoke = async (id: string): Promise<void> => {
    await granted(api.POST('/api/v1/invitations/{id}/revoke', { params: { path: { id } } }))
    await changed()
  }
  return (
    <Section
      title={say('invitations.title')}
      actions={
        <FormDialog
          text={say('invitations.invite')}
          name={say('invitations.invite')}
          kind="primary"
          send={invite}
          done={({ url, email }) => (
            <>
              <p>{say(email === null ? 'invitations.made' : 'invitations.made.mailed', { email: email ?? '' })}</p>
              <Copied label={say('invitations.link')} text={url} />
            </>
          )}
        >
          <Field label={say('invitations.email')} name="email" type="email" autoComplete="off" />
          <p className="text-mute text-small">{say('invitations.email.about')}</p>
          <Select label={say('people.role')} name="role" options={roleOptions()} />
        </FormDialog>
      }
    >
      <List label={say('invitations.title')} pages={open} empty={say('invitations.empty')}>
        {({ id, email, role, expires_at }) => (
          <Row
            key={id}
            title={<bdi>{email ?? say('invitations.anybody')}</bdi>}
            detail={
              <>
                {roleWord(role)}
                {' · '}
                {say('invitations.ends')} <When at={expires_at} />
              </>
            }
          >
            <ActButton
              text={say('invitations.revoke')}
              name={say('invitations.revoke.name', { name: email ?? say('invitations.anybody') })}
              kind="danger"
              about={say('invitations.revoke.about')}
              act={() => revoke(id)}
            />
          </Row>
        )}
      </List>
    </Section>
  )
}
