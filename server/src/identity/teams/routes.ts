import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { idParams, problems, success } from '../../http/openapi.ts'
import { type Guard, personOf } from '../guard.ts'
import * as schemas from './schemas.ts'
import type { Teams } from './service.ts'
import type { Team } from './store.ts'

const common = { tags: ['teams'], security: [{ bearer: [] }, { person: [] }] }
const notFound = { status: 404, code: 'team.not_found', detail: 'Team not found' }
const taken = { status: 409, code: 'team.name_taken', detail: 'Another team has this name. Choose another one.' }
const one = (description: string) => success(description, Type.Ref('Team'), schemas.exampleTeam)

export function registerTeamRoutes(
  app: FastifyInstance,
  { teams, guard }: { readonly teams: Teams; readonly guard: Guard },
): void {
  app.addSchema(schemas.teamSchema)
  app.addSchema(schemas.teamWithMembersSchema)

  app.get(
    '/teams',
    {
      ...guard('team.read'),
      schema: {
        ...common,
        summary: 'The teams of the organization',
        operationId: 'listTeams',
        response: {
          200: success('By name', Type.Array(Type.Ref('Team')), [schemas.exampleTeam]),
          ...problems(401, 403),
        },
      },
    },
    async (request) => (await teams.list(personOf(request).principal)).map(teamJson),
  )

  app.post<{ Body: Static<typeof schemas.createBody> }>(
    '/teams',
    {
      ...guard('team.create'),
      schema: {
        ...common,
        summary: 'Make a team',
        operationId: 'createTeam',
        body: { ...schemas.createBody, examples: [{ name: 'Payments' }] },
        response: { 201: one('The team'), ...problems(401, 403, taken, 413, 415, 422) },
      },
    },
    async (request, reply) => reply.status(201).send(teamJson(await teams.create(personOf(request), request.body))),
  )

  app.get<{ Params: { id: string } }>(
    '/teams/:id',
    {
      ...guard('team.read'),
      schema: {
        ...common,
        summary: 'One team with its members',
        operationId: 'getTeam',
        params: idParams,
        response: {
          200: success('The team', Type.Ref('TeamWithMembers'), schemas.exampleTeamWithMembers),
          ...problems(401, 403, notFound, 422),
        },
      },
    },
    async (request) => {
      const { team, members } = await teams.one(personOf(request).principal, request.params.id.toLowerCase())
      const shown = members.map(({ userId, isLead }) => ({ user_id: userId, is_lead: isLead }))
      return { ...teamJson(team), members: shown }
    },
  )

  registerRunningRoutes(app, teams, guard)
}

/** For managers, and for the leads of the team. */
function registerRunningRoutes(app: FastifyInstance, teams: Teams, guard: Guard): void {
  const run = guard('team.run')

  app.patch<{ Params: { id: string }; Body: Static<typeof schemas.changeBody> }>(
    '/teams/:id',
    {
      ...run,
      schema: {
        ...common,
        summary: 'Rename or describe a team',
        operationId: 'changeTeam',
        params: idParams,
        body: { ...schemas.changeBody, examples: [{ description: 'Refunds and disputes.' }] },
        response: { 200: one('The team'), ...problems(401, 403, notFound, taken, 413, 415, 422) },
      },
    },
    async (request) => teamJson(await teams.change(personOf(request), request.params.id.toLowerCase(), request.body)),
  )

  app.delete<{ Params: { id: string } }>(
    '/teams/:id',
    {
      ...run,
      schema: {
        ...common,
        summary: 'Delete a team; its people stay',
        operationId: 'deleteTeam',
        params: idParams,
        response: { 204: { description: 'It is gone', type: 'null' }, ...problems(401, 403, notFound, 422) },
      },
    },
    async (request, reply) => {
      await teams.remove(personOf(request), request.params.id.toLowerCase())
      return reply.status(204).send()
    },
  )

  app.put<{ Params: { id: string; user_id: string }; Body: Static<typeof schemas.memberBody> }>(
    '/teams/:id/members/:user_id',
    {
      ...run,
      schema: {
        ...common,
        summary: 'Put a person into a team, as a member or as a lead',
        operationId: 'putTeamMember',
        params: schemas.memberParams,
        body: { ...schemas.memberBody, examples: [{ is_lead: true }] },
        response: {
          204: { description: 'A member now', type: 'null' },
          ...problems(401, 403, notFound, 413, 415, 422),
        },
      },
    },
    async (request, reply) => {
      const { id, user_id: userId } = request.params
      const member = { userId: userId.toLowerCase(), isLead: request.body.is_lead ?? false }
      await teams.putMember(personOf(request), id.toLowerCase(), member)
      return reply.status(204).send()
    },
  )

  app.delete<{ Params: { id: string; user_id: string } }>(
    '/teams/:id/members/:user_id',
    {
      ...run,
      schema: {
        ...common,
        summary: 'Take a person out of a team',
        operationId: 'removeTeamMember',
        params: schemas.memberParams,
        response: { 204: { description: 'No member now', type: 'null' }, ...problems(401, 403, notFound, 422) },
      },
    },
    async (request, reply) => {
      const { id, user_id: userId } = request.params
      await teams.removeMember(personOf(request), id.toLowerCase(), userId.toLowerCase())
      return reply.status(204).send()
    },
  )
}

function teamJson(team: Team) {
  return {
    id: team.id,
    name: team.name,
    description: team.description,
    created_at: team.createdAt,
    updated_at: team.updatedAt,
  }
}
