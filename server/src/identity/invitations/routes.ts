import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { idempotencyHeaders, idempotencyOf } from '../../http/idempotency.ts'
import { idOf, idParams, problems, success } from '../../http/openapi.ts'
import { pageJson, pageQuery, readPageQuery } from '../../http/paging.ts'
import { names, valuesOf } from '../../platform/names.ts'
import { exampleUser } from '../accounts/schemas.ts'
import { userJson } from '../accounts/user.ts'
import { stepUpRequired } from '../factors/step-up.ts'
import { permitOf } from '../factors/step-ups/demand-step-ups.ts'
import { type Guard, guardedRoutes, personOf } from '../guard.ts'
import { otherOrganization } from '../organizations/organization.ts'
import {
  alreadyMember,
  type Invitation,
  invitationNotFound,
  invitationNotValid,
  registrationClosed,
  tooManyInvitations,
} from './invitation.ts'
import * as schemas from './schemas.ts'
import type { Invitations } from './service.ts'

export interface InvitationRoutes {
  readonly invitations: Invitations
  readonly guard: Guard
}

const route = guardedRoutes('people')

export function registerInvitationRoutes(app: FastifyInstance, routes: InvitationRoutes): void {
  const { invitations, guard } = routes
  for (const schema of [schemas.invitationSchema, schemas.invitationPageSchema]) app.addSchema(schema)

  registerCreate(app, routes)

  app.get<{ Querystring: Static<typeof pageQuery> }>(
    '/invitations',
    route(guard('invitation.create'), {
      summary: 'List the invitations that can still be used, newest first',
      operationId: 'listInvitations',
      querystring: pageQuery,
      response: {
        200: success('A page of invitations', Type.Ref('InvitationPage'), {
          items: [schemas.exampleOpenInvitation],
          next_cursor: null,
        }),
        ...problems(),
      },
    }),
    async (request) => {
      const { after: before, limit } = readPageQuery(request)
      const page = await invitations.list(personOf(request).principal, before, limit)
      return pageJson(request, page, invitationJson, ({ id }) => id)
    },
  )

  app.post<{ Params: { id: string } }>(
    '/invitations/:id/revoke',
    route(guard('invitation.create'), {
      summary: 'Revoke an invitation',
      operationId: 'revokeInvitation',
      params: idParams,
      response: {
        204: { description: 'The link does not work any more', type: 'null' },
        ...problems(invitationNotFound),
      },
    }),
    async (request, reply) => {
      await invitations.revoke(personOf(request), idOf(request))
      return reply.status(204).send()
    },
  )

  app.post<{ Body: Static<typeof schemas.acceptBody> }>(
    '/invitations/accept',
    route(guard('profile.read'), {
      summary: 'Join another organization by its link. POST /auth/switch takes you into it',
      operationId: 'acceptInvitation',
      body: { ...schemas.acceptBody, examples: [{ token: 'b2theS1yYW5kb20tdG9rZW4' }] },
      response: {
        201: success('The membership', Type.Ref('User'), exampleUser),
        ...problems(invitationNotValid, otherOrganization, registrationClosed, alreadyMember),
      },
    }),
    async (request, reply) =>
      reply.status(201).send(userJson(await invitations.accept(personOf(request), request.body.token))),
  )
}

function registerCreate(app: FastifyInstance, { invitations, guard }: InvitationRoutes): void {
  app.post<{ Body: Static<typeof schemas.inviteBody> }>(
    '/invitations',
    route(guard('invitation.create'), {
      summary: 'Create a one-time link that lets one person join; it is mailed if it has an address and mail is set up',
      operationId: 'invite',
      headers: idempotencyHeaders,
      body: { ...schemas.inviteBody, examples: [{ role: 'reviewer', email: 'reviewer@example.com' }] },
      response: {
        201: success('The invitation', Type.Ref('Invitation'), schemas.exampleInvitation),
        ...problems(stepUpRequired, registrationClosed, tooManyInvitations),
      },
    }),
    async (request, reply) => {
      const { role = 'reviewer', email = null } = request.body
      const asked = { role: role as Invitation['role'], email }
      const made = await invitations.create(personOf(request), asked, idempotencyOf(request), permitOf(request))
      if (made.replayed) reply.header('idempotency-replayed', 'true')
      const { id, expiresAt } = made.invitation
      const { token, url } = made
      return reply.status(201).send({ id, ...asked, expires_at: expiresAt, token, url })
    },
  )
}

const invitationNames = names('id, role, email, created_by, expires_at, created_at')

function invitationJson(invitation: Invitation) {
  return valuesOf(invitation, invitationNames)
}
