import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { legalHold } from '../../facts/legal-hold.ts'
import { idempotencyHeaders, idempotencyOf } from '../../http/idempotency.ts'
import { problems, success } from '../../http/openapi.ts'
import { pageSchema, wholeListJson } from '../../http/paging.ts'
import { names, valuesOf } from '../../platform/names.ts'
import { invalid } from '../../platform/problem.ts'
import { userInactive, userNotFound } from '../accounts/user.ts'
import { stepUpRequired } from '../factors/step-up.ts'
import { permitOf } from '../factors/step-ups/demand-step-ups.ts'
import { type Guard, guardedRoutes, personOf } from '../guard.ts'
import type { OrganizationDeletion } from './deletion.ts'
import { isOwner, notOwner, type Organization, otherOrganization, tooManyOwned } from './organization.ts'
import * as schemas from './schemas.ts'
import type { Organizations } from './service.ts'

export interface OrganizationRoutes {
  readonly organizations: Organizations
  readonly deletion: OrganizationDeletion
  readonly guard: Guard
}

const route = guardedRoutes('organizations')
const one = (description: string) => success(description, Type.Ref('Organization'), schemas.exampleOrganization)
export function registerOrganizationRoutes(app: FastifyInstance, routes: OrganizationRoutes): void {
  const { organizations, guard } = routes
  app.addSchema(schemas.organizationSchema)
  app.addSchema(schemas.membershipSchema)
  app.addSchema(pageSchema('MembershipPage', Type.Ref('Membership')))

  app.get(
    '/organizations',
    route(guard('profile.read'), {
      summary: 'List the organizations that I can enter, oldest membership first',
      operationId: 'listOrganizations',
      response: {
        200: success('With my role in each', Type.Ref('MembershipPage'), {
          items: [schemas.exampleMembership],
          next_cursor: null,
        }),
        ...problems(),
      },
    }),
    async (request) => {
      const { principal } = personOf(request)
      return wholeListJson(await organizations.own(principal), ({ organization, userId, role }) => ({
        organization: organizationJson(organization),
        user_id: userId,
        role,
        is_current: organization.organizationId === principal.organizationId,
      }))
    },
  )

  app.post<{ Body: Static<typeof schemas.createBody> }>(
    '/organizations',
    route(guard('organization.create'), {
      summary: 'Create an organization that you own. POST /auth/switch takes you into it',
      operationId: 'createOrganization',
      headers: idempotencyHeaders,
      body: { ...schemas.createBody, examples: [{ name: 'Example Inc.' }] },
      response: { 201: one('The organization'), ...problems(otherOrganization, tooManyOwned) },
    }),
    async (request, reply) => {
      const { name } = request.body
      const { made, replayed } = await organizations.create(personOf(request), name, idempotencyOf(request))
      if (replayed) reply.header('idempotency-replayed', 'true')
      return reply.status(201).send(organizationJson(made))
    },
  )

  app.get(
    '/organization',
    route(guard('organization.read'), {
      summary: 'Get the organization that I work in',
      operationId: 'getOrganization',
      response: { 200: one('The organization'), ...problems() },
    }),
    async (request) => organizationJson(await organizations.current(personOf(request).principal)),
  )

  registerSensitiveRoutes(app, routes)
  registerDeletionRoutes(app, routes)
}

/** These need a step-up. */
function registerSensitiveRoutes(app: FastifyInstance, { organizations, guard }: OrganizationRoutes): void {
  app.patch<{ Body: Static<typeof schemas.changeBody> }>(
    '/organization',
    route(guard('organization.manage'), {
      summary: 'Rename the organization, or require step-ups of everybody',
      operationId: 'changeOrganization',
      body: { ...schemas.changeBody, examples: [{ require_step_up: true }] },
      response: { 200: one('The organization'), ...problems(stepUpRequired) },
    }),
    async (request) => {
      const { name, require_step_up: requireStepUp } = request.body
      if (name === undefined && requireStepUp === undefined)
        throw invalid('', 'names nothing that can be changed: send name or require_step_up')
      return organizationJson(await organizations.change(personOf(request), { name, requireStepUp }, permitOf(request)))
    },
  )

  app.post<{ Body: Static<typeof schemas.transferBody> }>(
    '/organization/transfer',
    route(guard('organization.manage'), {
      summary: 'Hand the organization over: the other member becomes the owner, and you an admin',
      operationId: 'transferOrganization',
      body: { ...schemas.transferBody, examples: [{ user_id: schemas.exampleMembership.user_id }] },
      response: {
        204: { description: 'Handed over', type: 'null' },
        ...problems(stepUpRequired, notOwner, isOwner, userNotFound, userInactive),
      },
    }),
    async (request, reply) => {
      await organizations.transfer(personOf(request), request.body.user_id.toLowerCase(), permitOf(request))
      return reply.status(204).send()
    },
  )
}

function registerDeletionRoutes(app: FastifyInstance, { deletion, guard }: OrganizationRoutes): void {
  app.post<{ Body: Static<typeof schemas.deleteBody> }>(
    '/organization/delete',
    route(guard('organization.delete'), {
      summary: 'Delete the organization after 30 days; until then only its owner can enter it, and restore it',
      operationId: 'deleteOrganization',
      body: { ...schemas.deleteBody, examples: [{ name: 'Example Inc.' }] },
      response: {
        202: one('The organization, with the date of its deletion'),
        ...problems(stepUpRequired, notOwner, legalHold),
      },
    }),
    async (request, reply) => {
      const { name } = request.body
      return reply
        .status(202)
        .send(organizationJson(await deletion.request(personOf(request), name, permitOf(request))))
    },
  )

  app.post(
    '/organization/restore',
    route(guard('organization.delete'), {
      summary: 'Withdraw the deletion',
      operationId: 'restoreOrganization',
      response: { 200: one('The organization, as it was'), ...problems(notOwner) },
    }),
    async (request) => organizationJson(await deletion.restore(personOf(request))),
  )
}

const organizationNames = names('name, require_step_up, delete_after, created_at, updated_at')

function organizationJson(organization: Organization) {
  return { id: organization.organizationId, ...valuesOf(organization, organizationNames) }
}
