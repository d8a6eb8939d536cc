import type { FastifyInstance } from 'fastify'
import type { Static } from 'typebox'
import { problems } from '../../http/openapi.ts'
import { linkNotValid } from '../accounts/account-link.ts'
import { emailTaken } from '../accounts/user.ts'
import { stepUpRequired } from '../factors/step-up.ts'
import { demandPermitOf } from '../factors/step-ups/demand-step-ups.ts'
import { callOf, type Guard, guardedRoutes, personOf } from '../guard.ts'
import { throttled } from '../throttle/attempts.ts'
import { noMail, tooManyEmails } from './account-mail.ts'
import { noPassword, wrongPassword } from './current-password.ts'
import { alreadyVerified, noEmail } from './email-change.ts'
import * as schemas from './schemas.ts'
import type { EmailChanges } from './service.ts'

const verificationSent = 'The link is on its way. It works once, for a day.'
const changeSent =
  'A link is on its way to the new address, and a notice to the old one. It works once, for a day, while this session lasts.'

const route = guardedRoutes('auth')

export function registerEmailRoutes(
  app: FastifyInstance,
  { emails, guard }: { readonly emails: EmailChanges; readonly guard: Guard },
): void {
  const common = { tags: ['auth'] }

  app.post(
    '/auth/email/verification',
    route(guard('account.change'), {
      summary: 'Ask for a mailed link that confirms your address',
      operationId: 'requestEmailVerification',
      response: {
        202: schemas.accepted(verificationSent),
        ...problems(wrongPassword, noMail, noEmail, alreadyVerified, tooManyEmails),
      },
    }),
    async (request, reply) => {
      await emails.requestVerification(personOf(request))
      return reply.status(202).send({ detail: verificationSent })
    },
  )

  app.post<{ Body: Static<typeof schemas.changeEmailBody> }>(
    '/auth/email/change',
    route(guard('account.change'), {
      summary: 'Ask to change your address; it changes once the link mailed to the new one is used',
      operationId: 'changeEmail',
      body: {
        ...schemas.changeEmailBody,
        examples: [{ email: 'new@example.com', current_password: 'correct horse' }],
      },
      response: {
        202: schemas.accepted(changeSent),
        ...problems(stepUpRequired, wrongPassword, noMail, noPassword, tooManyEmails, throttled),
      },
    }),
    async (request, reply) => {
      const { email, current_password: password } = request.body
      await emails.requestChange(personOf(request), email, password ?? '', demandPermitOf(request))
      return reply.status(202).send({ detail: changeSent })
    },
  )

  app.post<{ Body: Static<typeof schemas.confirmBody> }>(
    '/auth/email/confirm',
    {
      schema: {
        ...common,
        summary: 'Confirm an address with the mailed link',
        operationId: 'confirmEmail',
        body: { ...schemas.confirmBody, examples: [{ token: 'b2theS1yYW5kb20tdG9rZW4' }] },
        response: {
          204: schemas.done('The address is confirmed, and is the account’s address from now on.'),
          ...problems(linkNotValid, emailTaken, throttled),
        },
      },
    },
    async (request, reply) => {
      await emails.confirm(request.body.token, callOf(request))
      return reply.status(204).send()
    },
  )
}
