import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { idempotencyHeaders, idempotencyOf } from '../../http/idempotency.ts'
import { problems, success } from '../../http/openapi.ts'
import { invalid } from '../../platform/problem.ts'
import { permitOf, type RequireStepUp, stepUpHeaders, stepUpMeaning } from '../factors/step-ups/require-step-up.ts'
import { type Guard, personOf } from '../guard.ts'
import type { OrganizationDeletion } from './deletion.ts'
import type { Organization } from './organization.ts'
import * as schemas from './schemas.ts'
import type { Organizations } from './service.ts'

export interface OrganizationRoutes {
  readonly organizations: Organizations
  readonly deletion: OrganizationDeletion
  readonly guard: Guard
  readonly requireStepUp: RequireStepUp
}

const common = { tags: ['organizations'], security: [{ bearer: [] }, { person: [] }] }
const one = (description: string) => success(description, Type.Ref('Organization'), schemas.exampleOrganization)
const notOwner = { status: 403, code: 'organization.not_owner', detail: 'Only the owner does this.' }
const otherSignIn = {
  status: 403,
  code: 'sso.other_organization',
  detail:
    "You came in by your organization's identity provider, which opens this organization only. Sign out, then sign in otherwise.",
}
const tooMany = {
  status: 409,
  code: 'organization.too_many',
  detail: 'You own 50 organizations, which is the most. Hand one over, or delete one that is not needed.',
}

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
        summary: 'The organizations that I can enter, oldest membership first',
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
        headers: idempotencyHeaders,
        body: { ...schemas.createBody, examples: [{ name: 'Example Inc.' }] },
        response: { 201: one('The organization'), ...problems(401, otherSignIn, tooMany, 413, 415) },
      },
    },
    async (request, reply) => {
      const { name } = request.body
      const { made: organization, replayed } = await organizations.create(
        personOf(request),
        name,
        idempotencyOf(request),
      )
      if (replayed) reply.header('idempotency-replayed', 'true')
      return reply.status(201).send(organizationJson(organization))
    },
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
  registerDeletionRoutes(app, routes)
}

const sensitive = { ...common, headers: stepUpHeaders }

/** These need a fresh proof of who asks. */
function registerSensitiveRoutes(
  app: FastifyInstance,
  { organizations, guard, requireStepUp }: OrganizationRoutes,
): void {
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
        response: { 200: one('The organization'), ...problems(401, stepUpMeaning, 413, 415) },
      },
    },
    async (request) => {
      const { name, require_step_up: requireStepUp } = request.body
      if (name === undefined && requireStepUp === undefined) throw nothingToChange()
      return organizationJson(await organizations.change(personOf(request), { name, requireStepUp }, permitOf(request)))
    },
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
          ),
        },
      },
    },
    async (request, reply) => {
      await organizations.transfer(personOf(request), request.body.user_id.toLowerCase(), permitOf(request))
      return reply.status(204).send()
    },
  )
}

function registerDeletionRoutes(app: FastifyInstance, { deletion, guard, requireStepUp }: OrganizationRoutes): void {
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
            {
              status: 409,
              code: 'audit.legal_hold',
              detail: 'The audit is under legal hold, so the organization has to stay. Lift the hold first.',
            },
            413,
            415,
          ),
        },
      },
    },
    async (request, reply) => {
      const { name } = request.body
      return reply
        .status(202)
        .send(organizationJson(await deletion.request(personOf(request), name, permitOf(request))))
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
        response: { 200: one('The organization, as it was'), ...problems(401, notOwner) },
      },
    },
    async (request) => organizationJson(await deletion.restore(personOf(request))),
  )
}

function nothingToChange() {
  return invalid('', 'names nothing that can be changed: send name or require_step_up')
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
