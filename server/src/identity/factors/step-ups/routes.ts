import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { problems, success } from '../../../http/openapi.ts'
import { type Guard, guardedRoutes, personOf } from '../../guard.ts'
import { throttled } from '../../throttle/attempts.ts'
import { passkeyCopied, passkeysUnavailable } from '../passkeys/ceremonies.ts'
import { proofOf } from '../proof-input.ts'
import * as schemas from '../schemas.ts'
import { methodUnavailable, proofRefused, type StepUps } from './service.ts'

const route = guardedRoutes('factors')

export function registerStepUpRoutes(
  app: FastifyInstance,
  { stepUps, guard }: { readonly stepUps: StepUps; readonly guard: Guard },
): void {
  app.post<{ Body: Static<typeof schemas.stepUpBody> }>(
    '/auth/step-up',
    route(guard('profile.read'), {
      summary: 'Prove afresh that it is you, for the one call of this digest',
      operationId: 'stepUp',
      body: {
        ...schemas.stepUpBody,
        examples: [{ digest: schemas.exampleDigest, method: 'totp', code: '492039' }],
      },
      response: {
        200: success('The proof', Type.Ref('StepUp'), schemas.exampleStepUp),
        ...problems(proofRefused, passkeyCopied, methodUnavailable, throttled),
      },
    }),
    async (request) => {
      const digest = Buffer.from(request.body.digest, 'hex')
      const { token, expiresAt } = await stepUps.grant(personOf(request), digest, proofOf(request.body))
      return { step_up: token, expires_at: expiresAt }
    },
  )

  app.post<{ Body: Static<typeof schemas.stepUpOptionsBody> }>(
    '/auth/step-up/passkey-options',
    route(guard('profile.read'), {
      summary: 'What the browser needs to have a passkey sign for the one call of this digest',
      operationId: 'stepUpPasskeyOptions',
      body: { ...schemas.stepUpOptionsBody, examples: [{ digest: schemas.exampleDigest }] },
      response: {
        200: success('The options', schemas.ceremonyOptionsSchema, schemas.exampleAssertionOptions),
        ...problems(passkeysUnavailable),
      },
    }),
    async (request) => stepUps.passkeyOptions(personOf(request).principal, Buffer.from(request.body.digest, 'hex')),
  )
}
