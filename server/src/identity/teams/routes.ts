import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { idempotencyHeaders, idempotencyOf } from '../../http/idempotency.ts'
import { idOf, idParams, problems, success, withHeaders } from '../../http/openapi.ts'
import { pageJson, pageQuery, readPageQuery } from '../../http/paging.ts'
import { names, valuesOf } from '../../platform/names.ts'
import { invalid } from '../../platform/problem.ts'
import { userInactive, userNotFound } from '../accounts/user.ts'
import { type Guard, guardedRoutes, personOf } from '../guard.ts'
import * as schemas from './schemas.ts'
import { memberJson, type Teams } from './service.ts'
import { nameTaken, notInTeam, notLead, type Team, teamNotFound } from './team.ts'

const route = guardedRoutes('teams')
const one = (description: string) => success(description, Type.Ref('Team'), schemas.exampleTeam)

export function registerTeamRoutes(
  app: FastifyInstance,
  { teams, guard }: { readonly teams: Teams; readonly guard: Guard },
): void {
  for (const schema of [schemas.teamSchema, schemas.teamPageSchema, schemas.teamMemberPageSchema]) app.addSchema(schema)

  app.get<{ Querystring: Static<typeof pageQuery> }>(
    '/teams',
    route(guard('team.read'), {
      summary: 'List the teams, oldest first',
      operationId: 'listTeams',
      querystring: pageQuery,
      response: {
        200: success('A page of teams', Type.Ref('TeamPage'), { items: [schemas.exampleTeam], next_cursor: null }),
        ...problems(),
      },
    }),
    async (request) => {
      const { after, limit } = readPageQuery(request)
      return pageJson(request, await teams.list(personOf(request).principal, after, limit), teamJson, ({ id }) => id)
    },
  )

  app.post<{ Body: Static<typeof schemas.createBody> }>(
    '/teams',
    route(guard('team.create'), {
      summary: 'Create a team',
      operationId: 'createTeam',
      headers: idempotencyHeaders,
      body: { ...schemas.createBody, examples: [{ name: 'Payments' }] },
      response: { 201: withHeaders(one('The team'), 'Location'), ...problems(nameTaken) },
    }),
    async (request, reply) => {
      const { name, description = null } = request.body
      const asked = { name, description }
      const { made: team, replayed } = await teams.create(personOf(request), asked, idempotencyOf(request))
      if (replayed) reply.header('idempotency-replayed', 'true')
      return reply.createdAt(`/api/v1/teams/${team.id}`).send(teamJson(team))
    },
  )

  app.get<{ Params: { id: string } }>(
    '/teams/:id',
    route(guard('team.read'), {
      summary: 'Get a team',
      operationId: 'getTeam',
      params: idParams,
      response: { 200: one('The team'), ...problems(teamNotFound) },
    }),
    async (request) => teamJson(await teams.one(personOf(request).principal, idOf(request))),
  )

  app.get<{ Params: { id: string }; Querystring: Static<typeof pageQuery> }>(
    '/teams/:id/members',
    route(guard('team.read'), {
      summary: 'List the members of a team, and which of them lead it',
      operationId: 'listTeamMembers',
      params: idParams,
      querystring: pageQuery,
      response: {
        200: success('A page of members', Type.Ref('TeamMemberPage'), {
          items: [schemas.exampleTeamMember],
          next_cursor: null,
        }),
        ...problems(teamNotFound),
      },
    }),
    async (request) => {
      const { after, limit } = readPageQuery(request)
      const id = idOf(request)
      const page = await teams.members(personOf(request).principal, id, after, limit)
      return pageJson(request, page, memberJson, ({ userId }) => userId)
    },
  )

  registerRunningRoutes(app, teams, guard)
}

/** For managers, and for the leads of the team. */
function registerRunningRoutes(app: FastifyInstance, teams: Teams, guard: Guard): void {
  const run = guard('team.run')

  app.patch<{ Params: { id: string }; Body: Static<typeof schemas.changeBody> }>(
    '/teams/:id',
    route(run, {
      summary: 'Rename or describe a team',
      operationId: 'changeTeam',
      params: idParams,
      body: { ...schemas.changeBody, examples: [{ description: 'Refunds and disputes.' }] },
      response: { 200: one('The team'), ...problems(notLead, teamNotFound, nameTaken) },
    }),
    async (request) => {
      const { name, description } = request.body
      if (name === undefined && description === undefined)
        throw invalid('', 'names nothing that can be changed: send name or description')
      const changes = { ...(name === undefined ? {} : { name }), ...(description === undefined ? {} : { description }) }
      return teamJson(await teams.change(personOf(request), idOf(request), changes))
    },
  )

  app.delete<{ Params: { id: string } }>(
    '/teams/:id',
    route(run, {
      summary: 'Delete a team; its people stay',
      operationId: 'deleteTeam',
      params: idParams,
      response: { 204: { description: 'Deleted', type: 'null' }, ...problems(notLead, teamNotFound) },
    }),
    async (request, reply) => {
      await teams.remove(personOf(request), idOf(request))
      return reply.status(204).send()
    },
  )

  app.put<{ Params: { id: string; user_id: string }; Body: Static<typeof schemas.memberBody> }>(
    '/teams/:id/members/:user_id',
    route(run, {
      summary: 'Put a person into a team, as a member or as a lead',
      operationId: 'putTeamMember',
      params: schemas.memberParams,
      body: { ...schemas.memberBody, examples: [{ is_lead: true }] },
      response: {
        204: { description: 'The person is in the team', type: 'null' },
        ...problems(notLead, teamNotFound, userNotFound, userInactive),
      },
    }),
    async (request, reply) => {
      const { id, user_id: userId } = request.params
      const member = { userId: userId.toLowerCase(), isLead: request.body.is_lead ?? false }
      await teams.putMember(personOf(request), id.toLowerCase(), member)
      return reply.status(204).send()
    },
  )

  app.delete<{ Params: { id: string; user_id: string } }>(
    '/teams/:id/members/:user_id',
    route(run, {
      summary: 'Take a person out of a team',
      operationId: 'removeTeamMember',
      params: schemas.memberParams,
      response: {
        204: { description: 'The person is not in the team any more', type: 'null' },
        ...problems(notLead, teamNotFound, notInTeam),
      },
    }),
    async (request, reply) => {
      const { id, user_id: userId } = request.params
      await teams.removeMember(personOf(request), id.toLowerCase(), userId.toLowerCase())
      return reply.status(204).send()
    },
  )
}

const teamNames = names('id, name, description, created_at, updated_at')

function teamJson(team: Team) {
  return valuesOf(team, teamNames)
}
