import type { FastifyInstance } from 'fastify'
import { type Static, type TSchema, Type } from 'typebox'
import { idempotencyHeaders, idempotencyOf } from '../../http/idempotency.ts'
import { idOf, idParams, problems, success, withHeaders } from '../../http/openapi.ts'
import { pageJson, readPageQuery } from '../../http/paging.ts'
import { names, valuesOf } from '../../platform/names.ts'
import { stepUpRequired } from '../factors/step-up.ts'
import { callerOf, type Guard, guardedRoutes, personOf } from '../guard.ts'
import {
  agentNotFound,
  alreadyStopped,
  type RegisteredAgent,
  type Status,
  type Switch,
  type SwitchAct,
} from './agent.ts'
import * as schemas from './schemas.ts'
import type { Agents } from './service.ts'
import type { Switches } from './switches.ts'

export interface AgentRoutes {
  readonly agents: Agents
  readonly switches: Switches
  readonly guard: Guard
}

const route = guardedRoutes('agents')
const one = (description: string) => success(description, Type.Ref('Agent'), schemas.exampleAgent)

export function registerAgentRoutes(app: FastifyInstance, routes: AgentRoutes): void {
  const { agents, guard } = routes
  for (const schema of [schemas.agentSchema, schemas.agentPageSchema, schemas.switchSchema]) app.addSchema(schema)

  app.post<{ Body: Static<typeof schemas.createAgentBody> }>(
    '/agents',
    route(guard('agent.manage'), {
      summary: 'Register an agent; make keys for it with POST /api-keys',
      operationId: 'registerAgent',
      headers: idempotencyHeaders,
      body: {
        ...schemas.createAgentBody,
        examples: [{ name: 'deploy-bot', description: 'Asks before it touches production.' }],
      },
      response: {
        201: withHeaders(one('The agent; you are responsible for it unless you name somebody else'), 'Location'),
        ...problems(),
      },
    }),
    async (request, reply) => {
      const { owner_id, ...input } = request.body
      const asked = { ...input, ownerId: owner_id?.toLowerCase() }
      const { made: agent, replayed } = await agents.register(personOf(request), asked, idempotencyOf(request))
      if (replayed) reply.header('idempotency-replayed', 'true')
      return reply.createdAt(`/api/v1/agents/${agent.id}`).send(agentJson(agent))
    },
  )

  app.get<{ Querystring: Static<typeof schemas.listAgentsQuery> }>(
    '/agents',
    route(guard('agent.read'), {
      summary: 'List the registered agents, newest first',
      operationId: 'listAgents',
      querystring: schemas.listAgentsQuery,
      response: {
        200: success('A page of agents', Type.Ref('AgentPage'), { items: [schemas.exampleAgent], next_cursor: null }),
        ...problems(),
      },
    }),
    async (request) => {
      const { status = null } = request.query
      const { after: before, limit } = readPageQuery(request)
      const page = await agents.list(callerOf(request).principal, { status: status as Status | null, before }, limit)
      return pageJson(request, page, agentJson, ({ id }) => id)
    },
  )

  app.get<{ Params: { id: string } }>(
    '/agents/:id',
    route(guard('agent.read'), {
      summary: 'Get one agent',
      operationId: 'getAgent',
      params: idParams,
      response: { 200: one('The agent'), ...problems(agentNotFound) },
    }),
    async (request) => agentJson(await agents.one(callerOf(request).principal, request.params.id)),
  )

  app.patch<{ Params: { id: string }; Body: Static<typeof schemas.changeAgentBody> }>(
    '/agents/:id',
    route(guard('agent.manage'), {
      summary: 'Rename or describe an agent, or name the person responsible for it',
      operationId: 'changeAgent',
      params: idParams,
      body: { ...schemas.changeAgentBody, examples: [{ description: 'Asks before it touches production.' }] },
      response: { 200: one('The agent'), ...problems(agentNotFound) },
    }),
    async (request) => {
      const { owner_id, ...changes } = request.body
      const asked = { ...changes, ownerId: owner_id?.toLowerCase() }
      return agentJson(await agents.change(personOf(request), idOf(request), asked))
    },
  )

  registerSwitches(app, routes)
}

const acts: Readonly<Record<SwitchAct, { readonly body: TSchema; readonly effect: string; readonly done: string }>> = {
  pause: { body: schemas.pauseBody, effect: 'new requests are refused, everything else works', done: 'paused' },
  resume: { body: schemas.resumeBody, effect: 'everything works again', done: 'resumed' },
  stop: { body: schemas.pauseBody, effect: 'every call is refused; its keys stay but do nothing', done: 'stopped' },
}

function registerSwitches(app: FastifyInstance, { switches, guard }: AgentRoutes): void {
  const example = { reason: schemas.exampleAgent.pause_reason }
  for (const [act, { body, effect, done }] of Object.entries(acts) as [SwitchAct, (typeof acts)[SwitchAct]][]) {
    const conflicts = (whose: 'agent' | 'organization') => (act === 'pause' ? [alreadyStopped[whose]] : [])
    const needed = act === 'resume' ? [stepUpRequired] : []
    const verb = act.charAt(0).toUpperCase() + act.slice(1)

    app.post<{ Params: { id: string }; Body: { reason?: string | null } }>(
      `/agents/:id/${act}`,
      route(guard('agent.pause'), {
        summary: `${verb} an agent: ${effect}`,
        operationId: `${act}Agent`,
        params: idParams,
        body: { ...body, examples: [example] },
        response: {
          200: one(`The agent, ${done}; within a second everywhere`),
          ...problems(...needed, agentNotFound, ...conflicts('agent')),
        },
      }),
      async (request) => {
        const reason = request.body.reason ?? null
        return agentJson(await switches.turnAgent(personOf(request), idOf(request), act, reason, request.permit))
      },
    )

    app.post<{ Body: { reason?: string | null } }>(
      `/organization/${act}`,
      route(guard('organization.pause'), {
        summary: `${verb} all agents of the organization: ${effect}`,
        operationId: `${act}Organization`,
        body: { ...body, examples: [example] },
        response: {
          200: success(
            `Agents ${done}; within a second everywhere`,
            Type.Ref('OrganizationSwitch'),
            schemas.exampleSwitch,
          ),
          ...problems(...needed, ...conflicts('organization')),
        },
      }),
      async (request) =>
        switchJson(
          await switches.turnOrganization(personOf(request), act, request.body.reason ?? null, request.permit),
        ),
    )
  }

  app.get(
    '/organization/pause',
    route(guard('agent.read'), {
      summary: 'Get whether the agents of the organization are paused or stopped, since when and why',
      operationId: 'getOrganizationSwitch',
      response: {
        200: success('The switch of all agents', Type.Ref('OrganizationSwitch'), schemas.exampleSwitch),
        ...problems(),
      },
    }),
    async (request) => switchJson(await switches.organizationSwitch(callerOf(request).principal)),
  )
}

function switchJson({ status, since, by, reason }: Switch) {
  return { status, paused_at: since, paused_by: by, pause_reason: reason }
}

const agentNames = names(
  'id, name, description, owner_id, pause_acknowledged_at, organization_status, last_used_at, created_at, updated_at',
)

function agentJson(agent: RegisteredAgent) {
  return { ...valuesOf(agent, agentNames), ...switchJson(agent.own) }
}
