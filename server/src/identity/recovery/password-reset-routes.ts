import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { problems, success } from '../../http/openapi.ts'
import type { Visitor } from '../accounts/account-facts.ts'
import { emailPattern } from '../accounts/user.ts'
import { type Guard, personOf } from '../guard.ts'
import type { PasswordChanges } from './password-reset.ts'

const password = (description: string) => Type.String({ maxLength: 1_000, description })
const chosen = '8 to 72 bytes in UTF-8; none of the most common ones.'

const changeBody = Type.Object(
  { current_password: password('The one in use.'), new_password: password(chosen) },
  { title: 'PasswordChange' },
)
const forgotBody = Type.Object(
  { email: Type.String({ maxLength: 254, pattern: emailPattern, description: 'Compared without regard to case.' }) },
  { title: 'ForgottenPassword' },
)
const resetBody = Type.Object(
  {
    token: Type.String({ minLength: 1, maxLength: 100, description: 'What stands behind the # of the link.' }),
    password: password(chosen),
  },
  { title: 'PasswordReset' },
)

/** Told by routes that mail a link. */
export const noMailMeaning = {
  status: 409,
  code: 'mail.not_configured',
  detail: 'This installation sends no mail. Ask whoever runs it for a link.',
}
/** Told by routes that take a link's token. */
export const linkMeaning = {
  status: 403,
  code: 'link.not_valid',
  detail:
    'This link is not valid any more: it was used, has expired, or a newer one has taken its place. Ask for a new one.',
}
/** Told by routes that ask for the password of who is signed in. */
export const wrongPasswordMeaning = {
  status: 403,
  code: 'password.wrong',
  detail: 'The current password is not right. Nothing was changed.',
}
/** Told by routes behind the throttle of passwords and links. */
export const throttledMeaning = {
  status: 429,
  code: 'auth.throttled',
  detail: 'Too many attempts have failed. Try again in 8 s.',
}

export const done = (description: string) => ({ description, type: 'null' })

/** A 202 says what happens next, to people. */
export const accepted = (detail: string) =>
  success('It is under way', Type.Object({ detail: Type.String() }), { detail })

const forgotten = 'If the address has an account, a link is on its way. It works once, for 30 minutes.'

export function visitor(request: FastifyRequest): Visitor {
  return { httpRequestId: request.id, network: request.client.address }
}

export function registerPasswordRoutes(
  app: FastifyInstance,
  { passwords, guard }: { readonly passwords: PasswordChanges; readonly guard: Guard },
): void {
  const common = { tags: ['auth'] }

  app.post<{ Body: Static<typeof changeBody> }>(
    '/auth/password/change',
    {
      ...guard('account.change'),
      schema: {
        ...common,
        summary: 'Choose another password; your other sessions end',
        operationId: 'changePassword',
        security: [{ bearer: [] }, { person: [] }],
        body: { ...changeBody, examples: [{ current_password: 'correct horse', new_password: 'battery staple' }] },
        response: {
          204: done('The new password counts from now on.'),
          ...problems(
            401,
            wrongPasswordMeaning,
            {
              status: 409,
              code: 'password.none',
              detail:
                'This account has no password. Ask for a link with POST /api/v1/auth/password/forgot to choose one.',
            },
            413,
            415,
            422,
            throttledMeaning,
          ),
        },
      },
    },
    async (request, reply) => {
      const { current_password, new_password } = request.body
      await passwords.change(personOf(request), current_password, new_password)
      return reply.status(204).send()
    },
  )

  app.post<{ Body: Static<typeof forgotBody> }>(
    '/auth/password/forgot',
    {
      schema: {
        ...common,
        summary:
          'Have a link mailed to choose a new password; the reply is the same whether there is an account or not',
        operationId: 'forgotPassword',
        body: { ...forgotBody, examples: [{ email: 'reviewer@example.com' }] },
        response: {
          202: accepted(forgotten),
          ...problems(noMailMeaning, 413, 415, 422, throttledMeaning),
        },
      },
    },
    async (request, reply) => {
      await passwords.forgot(request.body.email, visitor(request))
      return reply.status(202).send({ detail: forgotten })
    },
  )

  app.post<{ Body: Static<typeof resetBody> }>(
    '/auth/password/reset',
    {
      schema: {
        ...common,
        summary: 'Choose a new password with a mailed link; every session of the account ends',
        operationId: 'resetPassword',
        body: { ...resetBody, examples: [{ token: 'b2theS1yYW5kb20tdG9rZW4', password: 'battery staple' }] },
        response: {
          204: done('The new password counts from now on. Sign in with it.'),
          ...problems(linkMeaning, 413, 415, 422, throttledMeaning),
        },
      },
    },
    async (request, reply) => {
      await passwords.reset(request.body.token, request.body.password, visitor(request))
      return reply.status(204).send()
    },
  )
}
