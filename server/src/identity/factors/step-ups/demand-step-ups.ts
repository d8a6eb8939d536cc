import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { type idempotencyHeaders, idempotencyOf } from '../../../http/idempotency.ts'
import { personOf } from '../../guard.ts'
import { isEnrolment, needsStepUp, sensitiveActs } from '../../sensitive-acts.ts'
import type { Permit, StepUps } from './service.ts'

declare module 'fastify' {
  interface FastifyRequest {
    permit: Permit | null
    /** Null for acts that are not in the table, or never need a step-up. */
    demandPermit: (() => Promise<Permit>) | null
  }
}

const stepUpHeaders = Type.Object({
  'x-step-up': Type.Optional(
    Type.String({
      maxLength: 100,
      description:
        'The token of POST /auth/step-up for this very call. A repetition with the same Idempotency-Key sends it again.',
    }),
  ),
})

/**
 * Puts a step-up before the sensitive acts among the routes that are added later, whose services take the permit. It is asked
 * for once the body is read and valid: an invalid call is refused without one.
 */
export function demandStepUps(app: FastifyInstance, stepUps: StepUps): void {
  app.decorateRequest('permit', null)
  app.decorateRequest('demandPermit', null)
  app.addHook('onRoute', (route) => {
    const { method, schema } = route
    const operation = schema?.operationId
    if (schema === undefined || operation === undefined || ['GET', 'HEAD'].includes(String(method))) return
    const demand = sensitiveActs[operation]
    if (demand === undefined) throw new Error(`sensitive-acts.ts does not say whether ${operation} needs a step-up`)
    if (demand === 'never') return
    const { properties } = (schema.headers ?? {}) as Partial<typeof idempotencyHeaders>
    schema.headers = Type.Object({ ...properties, ...stepUpHeaders.properties })
    // Where the key is read, the service returns the earlier reply to a repetition without using the permit.
    const repeats = properties?.['idempotency-key'] !== undefined
    const permit = (request: FastifyRequest): Promise<Permit> => {
      const act = { operation, method: request.method, path: request.url, body: request.body ?? undefined }
      const token = request.headers['x-step-up']
      const idempotencyKey = repeats ? (idempotencyOf(request)?.key ?? null) : null
      const shown = { token: typeof token === 'string' ? token : null, enrols: isEnrolment(demand), idempotencyKey }
      return stepUps.demand(personOf(request), act, shown)
    }
    route.preHandler = async (request) => {
      request.demandPermit = () => permit(request)
      if (needsStepUp(demand, request.body)) request.permit = await permit(request)
    }
  })
}

/** What lets the act of this call happen. */
export function permitOf(request: FastifyRequest): Permit {
  if (request.permit === null) throw new Error('this act is not in the table of those that need a step-up')
  return request.permit
}

/** For an act that needs a step-up only of some accounts: asks for it now. */
export function demandPermitOf({ demandPermit }: FastifyRequest): () => Promise<Permit> {
  if (demandPermit === null) throw new Error('this act is not in the table of those that need a step-up')
  return demandPermit
}
