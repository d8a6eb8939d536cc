import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { idempotencyHeaders, idempotencyOf } from '../../http/idempotency.ts'
import { idParams, problems, success } from '../../http/openapi.ts'
import { decodeCursor, encodeCursor } from '../../platform/page.ts'
import { invalid } from '../../platform/problem.ts'
import { type Guard, personOf } from '../guard.ts'
import * as schemas from './schemas.ts'
import type { Teams } from './service.ts'
import type { Team } from './team.ts'

const common = { tags: ['teams'], security: [{ bearer: [] }, { person: [] }] }
const notFound = { status: 404, code: 'team.not_found', detail: 'Team not found' }
const taken = { status: 409, code: 'team.name_taken', detail: 'Another team has this name. Choose another one.' }
const notLead = {
  status: 403,
  code: 'team.not_lead',
  detail: 'Only administrators and the leads of this team change it.',
}
const noUser = { status: 404, code: 'user.not_found', detail: 'User not found' }
const noMember = { status: 404, code: 'team.no_member', detail: 'This person is not in the team' }
const inactive = { status: 409, code: 'user.inactive', detail: 'This member is deactivated. Activate them first.' }
const one = (description: string) => success(description, Type.Ref('Team'), schemas.exampleTeam)

export function registerTeamRoutes(
  app: FastifyInstance,
  { teams, guard }: { readonly teams: Teams; readonly guard: Guard },
): void {
  for (const schema of [schemas.teamSchema, schemas.teamPageSchema, schemas.teamMemberPageSchema]) app.addSchema(schema)

  app.get<{ Querystring: Static<typeof schemas.pageQuery> }>(
    '/teams',
    {
      ...guard('team.read'),
      schema: {
        ...common,
        summary: 'The teams of the organization, oldest first',
        operationId: 'listTeams',
        querystring: schemas.pageQuery,
        response: {
          200: success('A page of teams', Type.Ref('TeamPage'), { items: [schemas.exampleTeam], next_cursor: null }),
          ...problems(401, 403),
        },
      },
    },
    async (request) => {
      const { after, limit } = pageOf(request.query)
      const { items, hasMore } = await teams.list(personOf(request).principal, after, limit)
      return { items: items.map(teamJson), next_cursor: cursorBehind(items.at(-1)?.id, hasMore) }
    },
  )

  app.post<{ Body: Static<typeof schemas.createBody> }>(
    '/teams',
    {
      ...guard('team.create'),
      schema: {
        ...common,
        summary: 'Make a team',
        operationId: 'createTeam',
        headers: idempotencyHeaders,
        body: { ...schemas.createBody, examples: [{ name: 'Payments' }] },
        response: { 201: one('The team'), ...problems(401, 403, taken, 413, 415) },
      },
    },
    async (request, reply) => {
      const { name, description = null } = request.body
      const asked = { name, description }
      const { made: team, replayed } = await teams.create(personOf(request), asked, idempotencyOf(request))
      if (replayed) reply.header('idempotency-replayed', 'true')
      return reply.status(201).header('location', `/api/v1/teams/${team.id}`).send(teamJson(team))
    },
  )

  app.get<{ Params: { id: string } }>(
    '/teams/:id',
    {
      ...guard('team.read'),
      schema: {
        ...common,
        summary: 'One team',
        operationId: 'getTeam',
        params: idParams,
        response: { 200: one('The team'), ...problems(401, 403, notFound) },
      },
    },
    async (request) => teamJson(await teams.one(personOf(request).principal, request.params.id.toLowerCase())),
  )

  app.get<{ Params: { id: string }; Querystring: Static<typeof schemas.pageQuery> }>(
    '/teams/:id/members',
    {
      ...guard('team.read'),
      schema: {
        ...common,
        summary: 'Who is in a team, and who leads it',
        operationId: 'listTeamMembers',
        params: idParams,
        querystring: schemas.pageQuery,
        response: {
          200: success('A page of members', Type.Ref('TeamMemberPage'), {
            items: [schemas.exampleTeamMember],
            next_cursor: null,
          }),
          ...problems(401, 403, notFound),
        },
      },
    },
    async (request) => {
      const { after, limit } = pageOf(request.query)
      const id = request.params.id.toLowerCase()
      const { items, hasMore } = await teams.members(personOf(request).principal, id, after, limit)
      const shown = items.map(({ userId, isLead }) => ({ user_id: userId, is_lead: isLead }))
      return { items: shown, next_cursor: cursorBehind(items.at(-1)?.userId, hasMore) }
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
        response: { 200: one('The team'), ...problems(401, notLead, notFound, taken, 413, 415) },
      },
    },
    async (request) => {
      const { name, description } = request.body
      if (name === undefined && description === undefined) throw nothingToChange()
      const changes = { ...(name === undefined ? {} : { name }), ...(description === undefined ? {} : { description }) }
      return teamJson(await teams.change(personOf(request), request.params.id.toLowerCase(), changes))
    },
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
        response: { 204: { description: 'It is gone', type: 'null' }, ...problems(401, notLead, notFound) },
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
          ...problems(401, notLead, noUser, inactive, 413, 415),
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
        response: { 204: { description: 'No member now', type: 'null' }, ...problems(401, notLead, noMember) },
      },
    },
    async (request, reply) => {
      const { id, user_id: userId } = request.params
      await teams.removeMember(personOf(request), id.toLowerCase(), userId.toLowerCase())
      return reply.status(204).send()
    },
  )
}

function pageOf({ limit = 50, cursor }: Static<typeof schemas.pageQuery>) {
  return { limit, after: cursor === undefined ? null : decodeCursor(cursor) }
}

function cursorBehind(lastId: string | undefined, hasMore: boolean): string | null {
  return hasMore && lastId !== undefined ? encodeCursor(lastId) : null
}

function nothingToChange() {
  return invalid('', 'names nothing that can be changed: send name or description')
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
