import type { FastifyInstance, FastifyRequest, preHandlerAsyncHookHandler } from 'fastify'
import { Type } from 'typebox'
import { idempotencyOf } from '../../../http/idempotency.ts'
import { personOf } from '../../guard.ts'
import type { Permit, StepUps } from './service.ts'

declare module 'fastify' {
  interface FastifyRequest {
    permit: Permit | null
  }
}

/** For the schema of a route behind `requireStepUp`; spread its `properties` where the route has headers of its own. */
export const stepUpHeaders = Type.Object({
  'x-step-up': Type.Optional(
    Type.String({
      maxLength: 100,
      description:
        'The token of POST /auth/step-up for this very call. A repetition with the same Idempotency-Key sends it again.',
    }),
  ),
})

/**
 * What a sensitive route puts behind its guard. Its service takes the permit. `enrols`: the route adds a factor; `repeats`:
 * it reads Idempotency-Key, and its service returns the earlier reply to a repetition without using the permit.
 */
export type RequireStepUp = (options?: { readonly enrols?: boolean; readonly repeats?: boolean }) => {
  readonly preHandler: preHandlerAsyncHookHandler
}

/** Asks once the body is read and valid: an invalid call is refused without a step-up. */
export function createRequireStepUp(app: FastifyInstance, stepUps: StepUps): RequireStepUp {
  app.decorateRequest('permit', null)
  return ({ enrols = false, repeats = false } = {}) => ({
    preHandler: async (request) => {
      const { operationId } = request.routeOptions.schema ?? {}
      if (operationId === undefined) throw new Error('a route that needs a step-up needs an operationId')
      const act = { operation: operationId, method: request.method, path: request.url, body: request.body ?? undefined }
      const token = request.headers['x-step-up']
      const idempotencyKey = repeats ? (idempotencyOf(request)?.key ?? null) : null
      const shown = { token: typeof token === 'string' ? token : null, enrols, idempotencyKey }
      request.permit = await stepUps.demand(personOf(request), act, shown)
    },
  })
}

/** What lets the act of this call happen. */
export function permitOf(request: FastifyRequest): Permit {
  if (request.permit === null) throw new Error('this route does not require a step-up')
  return request.permit
}
