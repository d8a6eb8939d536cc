import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { problems } from '../http/openapi.ts'
import { nullable, uuid } from '../http/schema-parts.ts'
import { type Guard, personOf } from '../identity/guard.ts'
import type { AnyRefusal } from '../platform/problem.ts'
import type { Look } from './changes.ts'
import { presenceMs } from './presence.ts'
import type { WaitContext } from './waits.ts'

export interface PresenceRoutes {
  readonly guard: Guard
  readonly show: WaitContext['show']
  readonly showRefusals: readonly AnyRefusal[]
  readonly look: (look: Look) => void
}

const body = Type.Object(
  { request_id: nullable(uuid('The request that the caller looks at; null: none any more.')) },
  { title: 'Looking' },
)

export function registerPresenceRoutes(
  app: FastifyInstance,
  { guard, show, showRefusals, look }: PresenceRoutes,
): void {
  app.put<{ Body: Static<typeof body> }>(
    '/presence',
    {
      ...guard('queue.read'),
      schema: {
        tags: ['requests'],
        summary: 'Say which request the caller looks at',
        description:
          'Others see it in their inboxes, as `presence` in the streams. It holds for ' +
          `${presenceMs / 1_000} s, so a page repeats it every 20 s while somebody sees it. One person looks at one request at a time: ` +
          'the last call counts. Nothing is stored.',
        operationId: 'setPresence',
        body: { ...body, examples: [{ request_id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a61' }] },
        response: { 204: { description: 'Others are told', type: 'null' }, ...problems(...showRefusals) },
      },
    },
    async (request, reply) => {
      const by = personOf(request)
      const { request_id: requestId } = request.body
      // Nobody learns of a request by looking at what they may not see.
      if (requestId !== null) await show(by, requestId)
      const { organizationId, userId, name = null } = by.principal
      look({ organizationId, userId, name, requestId })
      return reply.status(204).send()
    },
  )
}
