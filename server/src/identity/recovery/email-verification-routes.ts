import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { problems } from '../../http/openapi.ts'
import { emailPattern } from '../accounts/user.ts'
import { type Guard, personOf } from '../guard.ts'
import type { EmailChanges } from './email-verification.ts'
import {
  accepted,
  done,
  linkMeaning,
  noMailMeaning,
  throttledMeaning,
  visitor,
  wrongPasswordMeaning,
} from './password-reset-routes.ts'

const changeBody = Type.Object(
  {
    email: Type.String({ maxLength: 254, pattern: emailPattern }),
    current_password: Type.Optional(Type.String({ maxLength: 1_000, description: 'Needed by everybody who has one.' })),
  },
  { title: 'EmailChange' },
)
const confirmBody = Type.Object(
  { token: Type.String({ minLength: 1, maxLength: 100, description: 'What stands behind the # of the link.' }) },
  { title: 'EmailConfirmation' },
)

const verificationSent = 'The link is on its way. It works once, for a day.'
const changeSent = 'A link is on its way to the new address, and a notice to the old one. It works once, for a day.'

export function registerEmailRoutes(
  app: FastifyInstance,
  { emails, guard }: { readonly emails: EmailChanges; readonly guard: Guard },
): void {
  const common = { tags: ['auth'] }
  const signedIn = { ...common, security: [{ bearer: [] }, { person: [] }] }

  app.post(
    '/auth/email/verification',
    {
      ...guard('account.change'),
      schema: {
        ...signedIn,
        summary: 'Have a link mailed that confirms your address',
        operationId: 'requestEmailVerification',
        response: {
          202: accepted(verificationSent),
          ...problems(401, 403, {
            ...noMailMeaning,
            code: 'email.already_verified',
            detail: 'This address is confirmed already. There is nothing to do.',
          }),
        },
      },
    },
    async (request, reply) => {
      await emails.requestVerification(personOf(request))
      return reply.status(202).send({ detail: verificationSent })
    },
  )

  app.post<{ Body: Static<typeof changeBody> }>(
    '/auth/email/change',
    {
      ...guard('account.change'),
      schema: {
        ...signedIn,
        summary: 'Ask for another address; it counts once the link mailed to it is used',
        operationId: 'changeEmail',
        body: { ...changeBody, examples: [{ email: 'new@example.com', current_password: 'correct horse' }] },
        response: {
          202: accepted(changeSent),
          ...problems(401, wrongPasswordMeaning, noMailMeaning, 413, 415, 422, throttledMeaning),
        },
      },
    },
    async (request, reply) => {
      const { email, current_password: password } = request.body
      await emails.requestChange(personOf(request), email, password ?? '')
      return reply.status(202).send({ detail: changeSent })
    },
  )

  app.post<{ Body: Static<typeof confirmBody> }>(
    '/auth/email/confirm',
    {
      schema: {
        ...common,
        summary: 'Confirm an address with the mailed link',
        operationId: 'confirmEmail',
        body: { ...confirmBody, examples: [{ token: 'b2theS1yYW5kb20tdG9rZW4' }] },
        response: {
          204: done('The address is confirmed, and is the account’s own from now on.'),
          ...problems(
            linkMeaning,
            { status: 409, code: 'auth.email_taken', detail: 'Email already registered' },
            413,
            415,
            422,
            throttledMeaning,
          ),
        },
      },
    },
    async (request, reply) => {
      await emails.confirm(request.body.token, visitor(request))
      return reply.status(204).send()
    },
  )
}
