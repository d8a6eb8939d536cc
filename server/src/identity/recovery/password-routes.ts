import type { FastifyInstance } from 'fastify'
import type { Static } from 'typebox'
import { problems } from '../../http/openapi.ts'
import { linkNotValid } from '../accounts/account-link.ts'
import { callOf, type Guard, guardedRoutes, personOf } from '../guard.ts'
import { throttled } from '../throttle/attempts.ts'
import { noMail } from './account-mail.ts'
import { noPassword, wrongPassword } from './current-password.ts'
import * as schemas from './schemas.ts'
import type { PasswordChanges } from './service.ts'

const route = guardedRoutes('auth')
const forgotten = 'If the address has an account, a link is on its way. It works once, for 30 minutes.'

export function registerPasswordRoutes(
  app: FastifyInstance,
  { passwords, guard }: { readonly passwords: PasswordChanges; readonly guard: Guard },
): void {
  const common = { tags: ['auth'] }

  app.post<{ Body: Static<typeof schemas.changePasswordBody> }>(
    '/auth/password/change',
    route(guard('account.change'), {
      summary: 'Change your password; your other sessions end',
      operationId: 'changePassword',
      body: {
        ...schemas.changePasswordBody,
        examples: [{ current_password: 'correct horse', new_password: 'battery staple' }],
      },
      response: {
        204: schemas.done('The new password counts from now on.'),
        ...problems(wrongPassword, noPassword, throttled),
      },
    }),
    async (request, reply) => {
      const { current_password, new_password } = request.body
      await passwords.change(personOf(request), current_password, new_password)
      return reply.status(204).send()
    },
  )

  app.post<{ Body: Static<typeof schemas.forgotBody> }>(
    '/auth/password/forgot',
    {
      schema: {
        ...common,
        summary:
          'Ask for a mailed link to choose a new password; the reply does not reveal whether there is an account',
        operationId: 'forgotPassword',
        body: { ...schemas.forgotBody, examples: [{ email: 'reviewer@example.com' }] },
        response: {
          202: schemas.accepted(forgotten),
          ...problems(noMail, throttled),
        },
      },
    },
    async (request, reply) => {
      await passwords.forgot(request.body.email, callOf(request))
      return reply.status(202).send({ detail: forgotten })
    },
  )

  app.post<{ Body: Static<typeof schemas.resetBody> }>(
    '/auth/password/reset',
    {
      schema: {
        ...common,
        summary: 'Choose a new password with a mailed link; every session of the account ends',
        operationId: 'resetPassword',
        body: { ...schemas.resetBody, examples: [{ token: 'b2theS1yYW5kb20tdG9rZW4', password: 'battery staple' }] },
        response: {
          204: schemas.done('The new password counts from now on. Sign in with it.'),
          ...problems(linkNotValid, throttled),
        },
      },
    },
    async (request, reply) => {
      await passwords.reset(request.body.token, request.body.password, callOf(request))
      return reply.status(204).send()
    },
  )
}
