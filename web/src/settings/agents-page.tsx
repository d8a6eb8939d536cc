import '../words/later.ts'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { curlWith } from '../api/asking.ts'
import { api, type Schemas } from '../api/client.ts'
import { usePages } from '../api/pages.ts'
import { manages, usePerson } from '../api/person.ts'
import { granted } from '../api/refused.ts'
import { Button } from '../design/button.tsx'
import { Field } from '../design/field.tsx'
import { ActButton, FormDialog, given } from '../design/form-dialog.tsx'
import { List } from '../design/list.tsx'
import { Section } from '../design/page.tsx'
import { Mark, Row } from '../design/rows.tsx'
import { Copied } from '../design/secret.tsx'
import { Select } from '../design/select.tsx'
import { When } from '../design/when.tsx'
import { say } from '../words/say.ts'

type Agent = Schemas['Agent']
type Key = Schemas['ApiKey']

export function AgentsPage() {
  const isManager = manages(usePerson())
  return (
    <>
      <Agents isManager={isManager} />
      {isManager ? <Everything /> : null}
    </>
  )
}

function Agents({ isManager }: { readonly isManager: boolean }) {
  const queryClient = useQueryClient()
  const agents = usePages(['agent-list'], (cursor, signal) =>
    granted(api.GET('/api/v1/agents', { params: { query: { limit: 100, ...cursor } }, signal })),
  )
  const [open, setOpen] = useState<string | null>(null)
  const register = async (form: FormData): Promise<void> => {
    const body = { name: given(form, 'name') ?? '', description: given(form, 'description') }
    const { id } = await granted(api.POST('/api/v1/agents', { body }))
    await agentsChanged(queryClient)
    setOpen(id)
  }
  return (
    <Section
      title={say('settings.agents')}
      about={say('agents.about')}
      actions={
        isManager ? (
          <FormDialog text={say('agents.register')} name={say('agents.register')} kind="primary" send={register}>
            <Field label={say('agents.name')} name="name" required maxLength={255} />
            <Field label={say('teams.description')} name="description" maxLength={1000} />
          </FormDialog>
        ) : undefined
      }
    >
      <List label={say('settings.agents')} pages={agents} empty={say('agents.empty')}>
        {(agent) => (
          <Row
            key={agent.id}
            title={<bdi>{agent.name}</bdi>}
            mark={<Status status={agent.status} />}
            detail={<AgentDetail agent={agent} />}
            below={open === agent.id ? <Keys agent={agent} /> : null}
          >
            {isManager ? (
              <>
                <Button
                  aria-expanded={open === agent.id}
                  aria-label={say('keys.of', { name: agent.name })}
                  onClick={() => setOpen(open === agent.id ? null : agent.id)}
                >
                  {say('keys.title')}
                </Button>
                <Switches agent={agent} />
              </>
            ) : null}
          </Row>
        )}
      </List>
    </Section>
  )
}

const agentsChanged = (queryClient: ReturnType<typeof useQueryClient>): Promise<unknown> =>
  Promise.all([
    queryClient.invalidateQueries({ queryKey: ['agent-list'] }),
    queryClient.invalidateQueries({ queryKey: ['agents'] }),
  ])

function Status({ status }: { readonly status: string }) {
  return status === 'paused' ? (
    <Mark tone="warning">{say('agents.paused')}</Mark>
  ) : status === 'stopped' ? (
    <Mark tone="bad">{say('agents.stopped')}</Mark>
  ) : null
}

function AgentDetail({ agent }: { readonly agent: Agent }) {
  const { description, pause_reason, last_used_at } = agent
  return (
    <>
      {description === null ? null : <bdi>{`${description} · `}</bdi>}
      {pause_reason === null ? null : <bdi>{`${pause_reason} · `}</bdi>}
      {last_used_at === null ? (
        say('used.never')
      ) : (
        <>
          {say('used.last')} <When at={last_used_at} />
        </>
      )}
    </>
  )
}

const reason = { label: say('agents.reason'), required: true } as const

function Switches({ agent: { id, name, status } }: { readonly agent: Agent }) {
  const queryClient = useQueryClient()
  const params = { path: { id } }
  const then = async (call: Promise<unknown>): Promise<void> => {
    await call
    await agentsChanged(queryClient)
  }
  return (
    <>
      {status === 'active' ? (
        <ActButton
          text={say('agents.pause')}
          name={say('agents.pause.name', { name })}
          about={say('agents.pause.about')}
          field={reason}
          act={(line) => then(granted(api.POST('/api/v1/agents/{id}/pause', { params, body: { reason: line } })))}
        />
      ) : (
        <ActButton
          text={say('agents.resume')}
          name={say('agents.resume.name', { name })}
          about={say('agents.resume.about')}
          act={() => then(granted(api.POST('/api/v1/agents/{id}/resume', { params, body: {} })))}
        />
      )}
      {status === 'stopped' ? null : (
        <ActButton
          text={say('agents.stop')}
          name={say('agents.stop.name', { name })}
          kind="danger"
          about={say('agents.stop.about')}
          field={reason}
          act={(line) => then(granted(api.POST('/api/v1/agents/{id}/stop', { params, body: { reason: line } })))}
        />
      )}
    </>
  )
}

function ShownOnce({ shown }: { readonly shown: string }) {
  return (
    <>
      <p>{say('keys.once')}</p>
      <Copied label={say('keys.key')} text={shown} />
      <p className="text-mute">{say('ask.about')}</p>
      <Copied label={say('ask.curl')} text={curlWith(shown, say('ask.title'))} />
    </>
  )
}

function Keys({ agent }: { readonly agent: Agent }) {
  const queryClient = useQueryClient()
  const query = {
    queryKey: ['api-keys', agent.id],
    queryFn: () => granted(api.GET('/api/v1/api-keys', { params: { query: { agent_id: agent.id } } })),
  }
  const { data, error } = useQuery(query)
  const changed = (): Promise<void> => queryClient.invalidateQueries(query)
  const create = async (form: FormData): Promise<string> => {
    const body = { agent_id: agent.id, name: given(form, 'name') ?? '' }
    const { key } = await granted(api.POST('/api/v1/api-keys', { body }))
    await changed()
    return key
  }
  return (
    <div className="grid gap-3">
      <List label={say('keys.of', { name: agent.name })} pages={{ items: data, error }} empty={say('keys.empty')}>
        {(key) => (
          <Row
            key={key.id}
            title={<bdi>{key.name}</bdi>}
            mark={<KeyMark apiKey={key} />}
            detail={
              <>
                {say('keys.ends')} <When at={key.expires_at} />
                {' · '}
                {key.last_used_at === null ? (
                  say('used.never')
                ) : (
                  <>
                    {say('used.last')} <When at={key.last_used_at} />
                  </>
                )}
              </>
            }
          >
            {key.is_active ? <ManagedKey apiKey={key} onChange={changed} /> : null}
          </Row>
        )}
      </List>
      <div>
        <FormDialog
          text={say('keys.create')}
          name={say('keys.create.name', { name: agent.name })}
          send={create}
          done={(shown) => <ShownOnce shown={shown} />}
        >
          <Field label={say('keys.name')} name="name" required maxLength={255} />
        </FormDialog>
      </div>
    </div>
  )
}

function KeyMark({ apiKey: { is_active, leaked_at, expires_soon } }: { readonly apiKey: Key }) {
  if (leaked_at !== null) return <Mark tone="bad">{say('keys.leaked')}</Mark>
  if (!is_active) return <Mark>{say('keys.revoked')}</Mark>
  return expires_soon ? <Mark tone="warning">{say('keys.ends_soon')}</Mark> : null
}

function ManagedKey({ apiKey, onChange }: { readonly apiKey: Key; readonly onChange: () => Promise<void> }) {
  const { name } = apiKey
  const params = { path: { id: apiKey.id } }
  const rotate = async (form: FormData): Promise<string> => {
    const body = { overlap_minutes: Number(form.get('overlap')) }
    const { key } = await granted(api.POST('/api/v1/api-keys/{id}/rotate', { params, body }))
    await onChange()
    return key
  }
  const revoke = async (): Promise<void> => {
    await granted(api.PATCH('/api/v1/api-keys/{id}', { params, body: { is_active: false } }))
    await onChange()
  }
  return (
    <>
      <FormDialog
        text={say('keys.rotate')}
        name={say('keys.rotate.name', { name })}
        send={rotate}
        done={(shown) => <ShownOnce shown={shown} />}
      >
        <Select
          label={say('keys.overlap')}
          name="overlap"
          defaultValue="1440"
          options={[
            ['0', say('keys.overlap.none')],
            ['60', say('keys.overlap.hour')],
            ['1440', say('keys.overlap.day')],
            ['10080', say('keys.overlap.week')],
          ]}
        />
      </FormDialog>
      <ActButton
        text={say('keys.revoke')}
        name={say('keys.revoke.name', { name })}
        kind="danger"
        about={say('keys.revoke.about')}
        act={revoke}
      />
    </>
  )
}

const switchQuery = {
  queryKey: ['organization-switch'],
  queryFn: () => granted(api.GET('/api/v1/organization/pause')),
}

/** The switch over all agents. */
function Everything() {
  const queryClient = useQueryClient()
  const { data } = useQuery(switchQuery)
  const then = async (call: Promise<unknown>): Promise<void> => {
    await call
    await Promise.all([queryClient.invalidateQueries(switchQuery), agentsChanged(queryClient)])
  }
  const status = data?.status ?? 'active'
  return (
    <Section
      title={say('agents.all')}
      about={say(
        status === 'active' ? 'agents.all.active' : status === 'paused' ? 'agents.all.paused' : 'agents.all.stopped',
      )}
      actions={
        <>
          {status === 'active' ? (
            <ActButton
              text={say('agents.pause')}
              name={say('agents.all.pause')}
              about={say('agents.pause.about')}
              field={reason}
              act={(line) => then(granted(api.POST('/api/v1/organization/pause', { body: { reason: line } })))}
            />
          ) : (
            <ActButton
              text={say('agents.resume')}
              name={say('agents.all.resume')}
              about={say('agents.resume.about')}
              act={() => then(granted(api.POST('/api/v1/organization/resume', { body: {} })))}
            />
          )}
          {status === 'stopped' ? null : (
            <ActButton
              text={say('agents.stop')}
              name={say('agents.all.stop')}
              kind="danger"
              about={say('agents.stop.about')}
              field={reason}
              act={(line) => then(granted(api.POST('/api/v1/organization/stop', { body: { reason: line } })))}
            />
          )}
        </>
      }
    >
      {data?.pause_reason == null ? null : (
        <p>
          <bdi>{data.pause_reason}</bdi>
        </p>
      )}
    </Section>
  )
}
