import type { FastifyInstance, preHandlerAsyncHookHandler } from 'fastify'
import { type Static, Type } from 'typebox'
import { idempotencyHeaders, idempotencyOf } from '../../http/idempotency.ts'
import { idParams, problems, success } from '../../http/openapi.ts'
import { decodeCursor, encodeCursor } from '../../platform/page.ts'
import * as schemas from '../accounts/schemas.ts'
import { userJson } from '../accounts/user.ts'
import { type RequireStepUp, stepUpHeaders, stepUpMeaning } from '../factors/step-ups/require-step-up.ts'
import { type Guard, personOf } from '../guard.ts'
import type { Invitation } from './invitation.ts'
import type { Invitations } from './service.ts'

export interface InvitationRoutes {
  readonly invitations: Invitations
  readonly guard: Guard
  readonly requireStepUp: RequireStepUp
}

const common = { tags: ['people'], security: [{ bearer: [] }, { person: [] }] }
const notValid = {
  status: 403,
  code: 'invitation.not_valid',
  detail:
    'This invitation is not valid for this address, was used, or has expired. Ask an administrator for a new one; before there is any, the service prints one at each start.',
}
const alreadyMember = {
  status: 409,
  code: 'user.already_member',
  detail: 'You, or somebody with your address, belong to this organization already.',
}
const notFound = {
  status: 404,
  code: 'invitation.not_found',
  detail: 'Invitation not found, used, or revoked already',
}

export function registerInvitationRoutes(app: FastifyInstance, routes: InvitationRoutes): void {
  const { invitations, guard } = routes
  for (const schema of [schemas.invitationSchema, schemas.invitationPageSchema]) app.addSchema(schema)

  registerCreate(app, routes)

  app.get<{ Querystring: Static<typeof schemas.invitationQuery> }>(
    '/invitations',
    {
      ...guard('invitation.create'),
      schema: {
        ...common,
        summary: 'Links that still let somebody in, newest first',
        operationId: 'listInvitations',
        querystring: schemas.invitationQuery,
        response: {
          200: success('A page of invitations', Type.Ref('InvitationPage'), {
            items: [schemas.exampleOpenInvitation],
            next_cursor: null,
          }),
          ...problems(401, 403),
        },
      },
    },
    async (request) => {
      const { limit = 50, cursor } = request.query
      const before = cursor === undefined ? null : decodeCursor(cursor)
      const { items, hasMore } = await invitations.list(personOf(request).principal, before, limit)
      const last = items.at(-1)
      const next = hasMore && last !== undefined ? encodeCursor(last.id) : null
      return { items: items.map(invitationJson), next_cursor: next }
    },
  )

  app.post<{ Params: { id: string } }>(
    '/invitations/:id/revoke',
    {
      ...guard('invitation.create'),
      schema: {
        ...common,
        summary: 'Make a link useless',
        operationId: 'revokeInvitation',
        params: idParams,
        response: {
          204: { description: 'It lets nobody in any more', type: 'null' },
          ...problems(401, 403, notFound),
        },
      },
    },
    async (request, reply) => {
      await invitations.revoke(personOf(request), request.params.id.toLowerCase())
      return reply.status(204).send()
    },
  )

  app.post<{ Body: Static<typeof schemas.joinBody> }>(
    '/invitations/accept',
    {
      ...guard('profile.read'),
      schema: {
        ...common,
        summary: 'Join another organization by its link; POST /auth/switch leads into it',
        operationId: 'acceptInvitation',
        body: { ...schemas.joinBody, examples: [{ token: 'b2theS1yYW5kb20tdG9rZW4' }] },
        response: {
          201: success('The membership', Type.Ref('User'), schemas.exampleUser),
          ...problems(401, notValid, alreadyMember, 413, 415),
        },
      },
    },
    async (request, reply) =>
      reply.status(201).send(userJson(await invitations.accept(personOf(request), request.body.token))),
  )
}

function registerCreate(app: FastifyInstance, { invitations, guard, requireStepUp }: InvitationRoutes): void {
  const { preHandler } = requireStepUp({ repeats: true })
  // To invite an administrator is to make one, and making one needs a fresh proof (PATCH /users/{id}).
  const ifItMakesManagers: preHandlerAsyncHookHandler = async function (request, reply) {
    if ((request.body as Static<typeof schemas.inviteBody>).role === 'admin')
      await preHandler.call(this, request, reply)
  }

  app.post<{ Body: Static<typeof schemas.inviteBody> }>(
    '/invitations',
    {
      ...guard('invitation.create'),
      preHandler: ifItMakesManagers,
      schema: {
        ...common,
        summary: 'Make a one-time link that lets one person in; mailed, where there is an address and mail is sent',
        description: 'A step-up is needed to invite an admin.',
        operationId: 'invite',
        headers: Type.Object({ ...idempotencyHeaders.properties, ...stepUpHeaders.properties }),
        body: { ...schemas.inviteBody, examples: [{ role: 'reviewer', email: 'reviewer@example.com' }] },
        response: {
          201: success('The invitation', Type.Ref('Invitation'), {
            id: schemas.exampleUser.id,
            role: 'reviewer',
            email: 'reviewer@example.com',
            expires_at: '2026-02-07T09:00:00.000Z',
            token: 'b2theS1yYW5kb20tdG9rZW4',
            url: 'https://hitl.example.com/setup#b2theS1yYW5kb20tdG9rZW4',
          }),
          ...problems(401, stepUpMeaning, 413, 415),
        },
      },
    },
    async (request, reply) => {
      const { role = 'reviewer', email = null } = request.body
      const asked = { role: role as Invitation['role'], email }
      const made = await invitations.create(personOf(request), asked, idempotencyOf(request), request.permit)
      if (made.replayed) reply.header('idempotency-replayed', 'true')
      const { id, expiresAt } = made.invitation
      const { token, url } = made
      return reply.status(201).send({ id, ...asked, expires_at: expiresAt, token, url })
    },
  )
}

function invitationJson(invitation: Invitation) {
  return {
    id: invitation.id,
    role: invitation.role,
    email: invitation.email,
    created_by: invitation.createdBy,
    expires_at: invitation.expiresAt,
    created_at: invitation.createdAt,
  }
}
