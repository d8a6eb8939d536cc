import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { idParams, problems, success } from '../../http/openapi.ts'
import { decodeCursor, encodeCursor } from '../../platform/page.ts'
import { permitOf, type RequireStepUp, stepUpHeaders, stepUpMeaning } from '../factors/step-ups/require-step-up.ts'
import { type Guard, personOf } from '../guard.ts'
import type { Role } from '../principal.ts'
import type { Members } from './members.ts'
import { userJson } from './routes.ts'
import * as schemas from './schemas.ts'

export interface MemberRoutes {
  readonly members: Members
  readonly guard: Guard
  readonly requireStepUp: RequireStepUp
}

const common = { tags: ['people'], security: [{ bearer: [] }, { person: [] }] }
const notFound = { status: 404, code: 'user.not_found', detail: 'User not found' }

export function registerMemberRoutes(app: FastifyInstance, { members, guard, requireStepUp }: MemberRoutes): void {
  app.addSchema(schemas.userPageSchema)

  app.get<{ Querystring: Static<typeof schemas.userQuery> }>(
    '/users',
    {
      ...guard('user.read'),
      schema: {
        ...common,
        summary: 'The people of the organization, longest members first',
        operationId: 'listUsers',
        querystring: schemas.userQuery,
        response: {
          200: success('A page of people', Type.Ref('UserPage'), { items: [schemas.exampleUser], next_cursor: null }),
          ...problems(401, 403, 422),
        },
      },
    },
    async (request) => {
      const { limit = 50, cursor } = request.query
      const after = cursor === undefined ? null : decodeCursor(cursor)
      const { items, hasMore } = await members.list(personOf(request).principal, after, limit)
      const last = items.at(-1)
      return { items: items.map(userJson), next_cursor: hasMore && last !== undefined ? encodeCursor(last.id) : null }
    },
  )

  app.get<{ Params: { id: string } }>(
    '/users/:id',
    {
      ...guard('user.read'),
      schema: {
        ...common,
        summary: 'One member',
        operationId: 'getUser',
        params: idParams,
        response: {
          200: success('The member', Type.Ref('User'), schemas.exampleUser),
          ...problems(401, 403, notFound, 422),
        },
      },
    },
    async (request) => userJson(await members.one(personOf(request).principal, request.params.id.toLowerCase())),
  )

  app.patch<{ Params: { id: string }; Body: Static<typeof schemas.changeUserBody> }>(
    '/users/:id',
    {
      ...guard('user.manage'),
      ...requireStepUp(),
      schema: {
        ...common,
        summary: "Change a member's role or name, deactivate or activate them",
        operationId: 'changeUser',
        params: idParams,
        headers: stepUpHeaders,
        body: { ...schemas.changeUserBody, examples: [{ role: 'auditor' }, { is_active: false }] },
        response: {
          200: success('The member', Type.Ref('User'), schemas.exampleUser),
          ...problems(401, stepUpMeaning, notFound, 413, 415, 422),
        },
      },
    },
    async (request) => {
      const { role, ...changes } = request.body
      const by = personOf(request)
      const wanted = { ...changes, role: role as Role | undefined }
      return userJson(await members.change(by, request.params.id.toLowerCase(), wanted, permitOf(request)))
    },
  )

  registerInvitationRoutes(app, members, guard)
}

function registerInvitationRoutes(app: FastifyInstance, members: Members, guard: Guard): void {
  app.addSchema(schemas.openInvitationSchema)

  app.get(
    '/invitations',
    {
      ...guard('invitation.create'),
      schema: {
        ...common,
        summary: 'Links that still let somebody in',
        operationId: 'listInvitations',
        response: {
          200: success('Newest first', Type.Array(Type.Ref('OpenInvitation')), [schemas.exampleOpenInvitation]),
          ...problems(401, 403),
        },
      },
    },
    async (request) =>
      (await members.openInvitations(personOf(request).principal)).map((invitation) => ({
        id: invitation.id,
        role: invitation.role,
        email: invitation.email,
        created_by: invitation.createdBy,
        expires_at: invitation.expiresAt,
        created_at: invitation.createdAt,
      })),
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
          ...problems(
            401,
            403,
            {
              status: 404,
              code: 'invitation.not_found',
              detail: 'Invitation not found, used, or revoked already',
            },
            422,
          ),
        },
      },
    },
    async (request, reply) => {
      await members.revokeInvitation(personOf(request), request.params.id.toLowerCase())
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
          ...problems(
            401,
            {
              status: 403,
              code: 'invitation.not_valid',
              detail:
                'This invitation is not valid for this address, was used, or has expired. Ask an administrator for a new one.',
            },
            { status: 409, code: 'user.already_member', detail: 'You are a member of this organization already.' },
            413,
            415,
            422,
          ),
        },
      },
    },
    async (request, reply) =>
      reply.status(201).send(userJson(await members.join(personOf(request), request.body.token))),
  )
}
