import { Type } from 'typebox'
import { pageQuery, pageSchema } from '../../http/paging.ts'
import { createdAt, id, line, name, nullable, time, updatedAt, uuid } from '../../http/schema-parts.ts'

const about = 'What it does.'

const statuses = ['active', 'paused', 'stopped']
const status = Type.Enum(statuses, {
  title: 'SwitchStatus',
  description: 'paused: new requests are refused, everything else works. stopped: every call is refused.',
})

const switchFields = {
  status,
  paused_at: nullable(time('When it was paused or stopped.')),
  paused_by: nullable(uuid('The person who paused or stopped.')),
  pause_reason: nullable(Type.String({ description: 'Why, as the agent is told.' })),
}

export const exampleAgent = {
  id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a58',
  name: 'deploy-bot',
  description: 'Asks before it touches production.',
  owner_id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a59',
  status: 'paused',
  paused_at: '2026-01-31T10:00:00.000Z',
  paused_by: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a59',
  pause_reason: 'It asks the same thing again and again.',
  pause_acknowledged_at: '2026-01-31T10:00:02.318Z',
  organization_status: 'active',
  last_used_at: '2026-01-31T10:00:02.318Z',
  created_at: '2026-01-31T09:00:00.000Z',
  updated_at: '2026-01-31T10:00:00.000Z',
}

export const agentSchema = Type.Object(
  {
    id,
    name: Type.String({ description: 'What it is called.' }),
    description: nullable(Type.String({ description: about })),
    owner_id: nullable(Type.String({ format: 'uuid', description: 'The person responsible for it.' })),
    ...switchFields,
    pause_acknowledged_at: nullable(
      Type.String({
        format: 'date-time',
        description: 'When one of its calls was first refused because of this pause.',
      }),
    ),
    organization_status: Type.Enum(statuses, {
      description: 'The switch of all agents of the organization; the stricter of the two counts.',
    }),
    last_used_at: nullable(Type.String({ format: 'date-time', description: 'The last use of any of its keys.' })),
    created_at: createdAt,
    updated_at: updatedAt,
  },
  { $id: 'Agent', title: 'Agent' },
)

export const agentPageSchema = pageSchema('AgentPage', Type.Ref('Agent'))

const description = nullable(Type.String({ maxLength: 512, description: about }))
const owner = Type.String({ format: 'uuid', description: 'An active member of the organization.' })

export const createAgentBody = Type.Object(
  { name, description: Type.Optional(description), owner_id: Type.Optional(owner) },
  { title: 'CreateAgent' },
)

export const changeAgentBody = Type.Object(
  { name: Type.Optional(name), description: Type.Optional(description), owner_id: Type.Optional(owner) },
  { title: 'AgentChanges' },
)

export const listAgentsQuery = Type.Object({
  status: Type.Optional(Type.Enum(statuses, { description: 'Only agents whose own switch is in this position.' })),
  ...pageQuery.properties,
})

/** It stands in the middle of a sentence. */
const reason = line({ maxLength: 512, description: 'Sent to the agent with every refusal.' })

/** Pausing and stopping need a reason; resuming may have one. */
export const pauseBody = Type.Object({ reason }, { title: 'Pause' })
export const resumeBody = Type.Object({ reason: Type.Optional(nullable(reason)) }, { title: 'Resumption' })

export const switchSchema = Type.Object(switchFields, { $id: 'OrganizationSwitch', title: 'OrganizationSwitch' })

export const exampleSwitch = {
  status: 'stopped',
  paused_at: '2026-01-31T10:00:00.000Z',
  paused_by: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a59',
  pause_reason: 'A key was stolen.',
}
