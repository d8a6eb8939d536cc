import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import type { Attempt } from '../deliveries/store.ts'
import { idParams, problems, success } from '../http/openapi.ts'
import { callerOf, type Guard } from '../identity/guard.ts'
import type { Principal } from '../identity/principal.ts'
import type { AnyRefusal } from '../platform/problem.ts'
import * as schemas from './schemas.ts'
import type { Callbacks } from './service.ts'

export interface CallbackRoutes {
  readonly callbacks: Callbacks
  readonly guard: Guard
  /** Throws 404 when the principal may not see the request. */
  readonly requireVisible: (principal: Principal, requestId: string) => Promise<unknown>
  /** What `requireVisible` throws, for the documents. */
  readonly requestNotFound: AnyRefusal
}

export function registerCallbackRoutes(
  app: FastifyInstance,
  { callbacks, guard, requireVisible, requestNotFound }: CallbackRoutes,
): void {
  app.addSchema(schemas.deliverySchema)
  app.get<{ Params: { id: string } }>(
    '/requests/:id/deliveries',
    {
      ...guard('request.read'),
      schema: {
        tags: ['requests'],
        summary: 'Every attempt to deliver the callback, newest first',
        operationId: 'listDeliveries',
        security: [{ bearer: [] }, { person: [] }],
        params: idParams,
        response: {
          200: success('The attempts', Type.Array(Type.Ref('Delivery')), [schemas.deliveryExample]),
          ...problems(401, 403, requestNotFound),
        },
      },
    },
    async (request) => {
      const { principal } = callerOf(request)
      await requireVisible(principal, request.params.id)
      const rows = await callbacks.attempts(principal.organizationId, request.params.id)
      return rows.map(deliveryJson)
    },
  )
}

/** An attempt on the wire. */
export function deliveryJson({ delivery_id: webhook_id, address: url, ...row }: Attempt) {
  const { id, attempt, succeeded, status_code, duration_ms, reply, error_code, error, started_at } = row
  return { id, webhook_id, attempt, url, succeeded, status_code, duration_ms, reply, error_code, error, started_at }
}
