import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { registerFormBodies } from '../../http/form-bodies.ts'
import { problems, success, withHeaders } from '../../http/openapi.ts'
import { malformedForm } from '../../http/refusals.ts'
import { crossSite } from '../../http/same-site.ts'
import { exampleUser, tokenExample, tokenSchema, userSchema } from '../accounts/schemas.ts'
import { emailTaken, userJson } from '../accounts/user.ts'
import { secondFactorRequired } from '../factors/sign-in/service.ts'
import { type Guard, guardedRoutes, personOf } from '../guard.ts'
import { invitationNotValid, registrationClosed } from '../invitations/invitation.ts'
import { closing } from '../organizations/organization.ts'
import { wrongCredentials } from '../sessions/session.ts'
import { ssoRequired } from '../sso/provider.ts'
import { throttled } from '../throttle/attempts.ts'
import * as schemas from './schemas.ts'
import type { People } from './service.ts'

export interface PeopleRoutes {
  readonly people: People
  readonly guard: Guard
  /** Returns the body of the reply; `browser`: also sets a cookie that renews the session. */
  readonly signIn: (
    email: string,
    password: string,
    browser: boolean,
    request: FastifyRequest,
    reply: FastifyReply,
  ) => Promise<unknown>
}

export function registerPeopleRoutes(app: FastifyInstance, { people, guard, signIn }: PeopleRoutes): void {
  for (const schema of [userSchema, tokenSchema]) app.addSchema(schema)

  app.post<{ Body: Static<typeof schemas.registerBody> }>(
    '/auth/register',
    {
      schema: {
        tags: ['auth'],
        summary: 'Create an account, by invitation or as the registration mode allows',
        description:
          'By invitation the reply is the same for an address that has an account already: nothing changes then, its owner gets a mail, ' +
          'and nobody but them, signed in, can use the invitation any more.',
        operationId: 'register',
        body: { ...schemas.registerBody, examples: [schemas.registerExample] },
        response: {
          201: success('The account', Type.Ref('User'), exampleUser),
          ...problems(registrationClosed, invitationNotValid, closing, emailTaken),
        },
      },
    },
    async (request, reply) =>
      reply.status(201).send(userJson(await people.register(request.body, request.id, request.client.network))),
  )

  app.register(async (scope) => {
    // A scope of its own, because only signing in takes forms.
    await registerFormBodies(scope)
    scope.post<{ Body: Static<typeof schemas.loginBody> }>(
      '/auth/login',
      {
        schema: {
          tags: ['auth'],
          summary: 'Sign in with email and password',
          operationId: 'login',
          description:
            'Takes the form of OAuth 2; multipart/form-data and application/json with the same members are taken as well.',
          consumes: ['application/x-www-form-urlencoded'],
          body: { ...schemas.loginBody, examples: [schemas.loginExample] },
          response: {
            200: withHeaders(success('An access token', Type.Ref('AccessToken'), tokenExample), 'Set-Cookie'),
            ...problems(wrongCredentials, secondFactorRequired, ssoRequired, crossSite, throttled, malformedForm),
          },
        },
      },
      async (request, reply) => {
        const { username, password, session_cookie = false } = request.body
        return signIn(username, password, session_cookie === true || session_cookie === 'true', request, reply)
      },
    )
  })

  app.get(
    '/auth/me',
    guardedRoutes('auth')(guard('profile.read'), {
      summary: 'Get the signed-in person',
      operationId: 'me',
      response: { 200: success('The signed-in person', Type.Ref('User'), exampleUser), ...problems() },
    }),
    async (request) => userJson(await people.me(personOf(request).principal)),
  )
}
