import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { problems, success } from '../../http/openapi.ts'
import { permitOf, type RequireStepUp, stepUpHeaders, stepUpMeaning } from '../factors/step-ups/require-step-up.ts'
import { type Guard, personOf } from '../guard.ts'
import type { Organization } from './organization.ts'
import * as schemas from './schemas.ts'
import type { Organizations } from './service.ts'

export interface OrganizationRoutes {
  readonly organizations: Organizations
  readonly guard: Guard
  readonly requireStepUp: RequireStepUp
}

const common = { tags: ['organizations'], security: [{ bearer: [] }, { person: [] }] }
const one = (description: string) => success(description, Type.Ref('Organization'), schemas.exampleOrganization)

export function registerOrganizationRoutes(app: FastifyInstance, routes: OrganizationRoutes): void {
  const { organizations, guard } = routes
  app.addSchema(schemas.organizationSchema)
  app.addSchema(schemas.membershipSchema)

  app.get(
    '/organizations',
    {
      ...guard('profile.read'),
      schema: {
        ...common,
        summary: 'The organizations that I belong to',
        operationId: 'listOrganizations',
        response: {
          200: success('With my role in each', Type.Array(Type.Ref('Membership')), [schemas.exampleMembership]),
          ...problems(401, 403),
        },
      },
    },
    async (request) => {
      const { principal } = personOf(request)
      return (await organizations.own(principal)).map(({ organization, userId, role }) => ({
        organization: organizationJson(organization),
        user_id: userId,
        role,
        is_current: organization.organizationId === principal.organizationId,
      }))
    },
  )

  app.post<{ Body: Static<typeof schemas.createBody> }>(
    '/organizations',
    {
      ...guard('organization.create'),
      schema: {
        ...common,
        summary: 'Make an organization; you are its owner. POST /auth/switch leads into it',
        operationId: 'createOrganization',
        body: { ...schemas.createBody, examples: [{ name: 'Example Inc.' }] },
        response: { 201: one('The organization'), ...problems(401, 403, 413, 415, 422) },
      },
    },
    async (request, reply) =>
      reply.status(201).send(organizationJson(await organizations.create(personOf(request), request.body.name))),
  )

  app.get(
    '/organization',
    {
      ...guard('organization.read'),
      schema: {
        ...common,
        summary: 'The organization that I work in',
        operationId: 'getOrganization',
        response: { 200: one('The organization'), ...problems(401, 403) },
      },
    },
    async (request) => organizationJson(await organizations.current(personOf(request).principal)),
  )

  registerSensitiveRoutes(app, routes)
}

/** All of these need a fresh proof of who asks. */
function registerSensitiveRoutes(
  app: FastifyInstance,
  { organizations, guard, requireStepUp }: OrganizationRoutes,
): void {
  const sensitive = { ...common, headers: stepUpHeaders }

  app.patch<{ Body: Static<typeof schemas.changeBody> }>(
    '/organization',
    {
      ...guard('organization.manage'),
      ...requireStepUp(),
      schema: {
        ...sensitive,
        summary: 'Rename the organization, or demand step-ups of everybody',
        operationId: 'changeOrganization',
        body: { ...schemas.changeBody, examples: [{ require_step_up: true }] },
        response: { 200: one('The organization'), ...problems(401, stepUpMeaning, 413, 415, 422) },
      },
    },
    async (request) => organizationJson(await organizations.change(personOf(request), request.body, permitOf(request))),
  )

  app.post<{ Body: Static<typeof schemas.transferBody> }>(
    '/organization/transfer',
    {
      ...guard('organization.manage'),
      ...requireStepUp(),
      schema: {
        ...sensitive,
        summary: 'Hand the organization over: the other member becomes the owner, you an admin',
        operationId: 'transferOrganization',
        body: { ...schemas.transferBody, examples: [{ user_id: schemas.exampleMembership.user_id }] },
        response: {
          204: { description: 'Handed over', type: 'null' },
          ...problems(
            401,
            stepUpMeaning,
            { status: 404, code: 'user.not_found', detail: 'User not found' },
            { status: 409, code: 'user.inactive', detail: 'This member is deactivated. Activate them first.' },
            413,
            415,
            422,
          ),
        },
      },
    },
    async (request, reply) => {
      await organizations.transfer(personOf(request), request.body.user_id.toLowerCase(), permitOf(request))
      return reply.status(204).send()
    },
  )

  app.post<{ Body: Static<typeof schemas.deleteBody> }>(
    '/organization/delete',
    {
      ...guard('organization.delete'),
      ...requireStepUp(),
      schema: {
        ...sensitive,
        summary: 'Delete the organization after 30 days; until then only its owner gets in, who may restore it',
        operationId: 'deleteOrganization',
        body: { ...schemas.deleteBody, examples: [{ name: 'Example Inc.' }] },
        response: {
          202: one('Due to be deleted'),
          ...problems(
            401,
            stepUpMeaning,
            { status: 409, code: 'audit.legal_hold', detail: 'The audit is under legal hold. Lift it first.' },
            413,
            415,
            422,
          ),
        },
      },
    },
    async (request, reply) => {
      const by = personOf(request)
      const { name } = request.body
      return reply.status(202).send(organizationJson(await organizations.requestDeletion(by, name, permitOf(request))))
    },
  )

  app.post(
    '/organization/restore',
    {
      ...guard('organization.delete'),
      schema: {
        ...common,
        summary: 'Take the deletion back',
        operationId: 'restoreOrganization',
        response: { 200: one('The organization, as it was'), ...problems(401, 403) },
      },
    },
    async (request) => organizationJson(await organizations.restore(personOf(request))),
  )
}

function organizationJson(organization: Organization) {
  return {
    id: organization.organizationId,
    name: organization.name,
    require_step_up: organization.requireStepUp,
    delete_after: organization.deleteAfter,
    created_at: organization.createdAt,
    updated_at: organization.updatedAt,
  }
}
