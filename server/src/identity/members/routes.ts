import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { idOf, idParams, problems, success } from '../../http/openapi.ts'
import { pageJson, pageQuery, readPageQuery } from '../../http/paging.ts'
import { invalid } from '../../platform/problem.ts'
import { exampleUser } from '../accounts/schemas.ts'
import { userJson, userNotFound } from '../accounts/user.ts'
import { stepUpRequired } from '../factors/step-up.ts'
import { permitOf } from '../factors/step-ups/demand-step-ups.ts'
import { type Guard, guardedRoutes, personOf } from '../guard.ts'
import { isOwner, notOwnRights, ownerByTransferOnly } from '../organizations/organization.ts'
import type { Role } from '../principal.ts'
import * as schemas from './schemas.ts'
import type { Members } from './service.ts'

export interface MemberRoutes {
  readonly members: Members
  readonly guard: Guard
}

const route = guardedRoutes('people')

export function registerMemberRoutes(app: FastifyInstance, { members, guard }: MemberRoutes): void {
  app.addSchema(schemas.userPageSchema)

  app.get<{ Querystring: Static<typeof pageQuery> }>(
    '/users',
    route(guard('user.read'), {
      summary: 'List the people of the organization, oldest members first',
      operationId: 'listUsers',
      querystring: pageQuery,
      response: {
        200: success('A page of people', Type.Ref('UserPage'), { items: [exampleUser], next_cursor: null }),
        ...problems(),
      },
    }),
    async (request) => {
      const { after, limit } = readPageQuery(request)
      return pageJson(request, await members.list(personOf(request).principal, after, limit), userJson, ({ id }) => id)
    },
  )

  app.get<{ Params: { id: string } }>(
    '/users/:id',
    route(guard('user.read'), {
      summary: 'Get a member',
      operationId: 'getUser',
      params: idParams,
      response: {
        200: success('The member', Type.Ref('User'), exampleUser),
        ...problems(userNotFound),
      },
    }),
    async (request) => userJson(await members.one(personOf(request).principal, idOf(request))),
  )

  app.patch<{ Params: { id: string }; Body: Static<typeof schemas.changeBody> }>(
    '/users/:id',
    route(guard('user.manage'), {
      summary: "Change a member's role or name, deactivate or activate them",
      operationId: 'changeUser',
      params: idParams,
      body: { ...schemas.changeBody, examples: [{ role: 'auditor' }, { is_active: false }] },
      response: {
        200: success('The member', Type.Ref('User'), exampleUser),
        ...problems(stepUpRequired, isOwner, notOwnRights, ownerByTransferOnly, userNotFound),
      },
    }),
    async (request) => {
      const { role, name, is_active: isActive } = request.body
      if (role === undefined && name === undefined && isActive === undefined)
        throw invalid('', 'names nothing that can be changed: send role, name or is_active')
      const changes = { role: role as Role | undefined, name, isActive }
      return userJson(await members.change(personOf(request), idOf(request), changes, permitOf(request)))
    },
  )
}
