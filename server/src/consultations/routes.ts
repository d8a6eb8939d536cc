import type { FastifyInstance, FastifyReply } from 'fastify'
import { type Static, Type } from 'typebox'
import { idempotencyHeaders, idempotencyOf } from '../http/idempotency.ts'
import { toInstant } from '../http/instant.ts'
import { idParams, problems, success } from '../http/openapi.ts'
import { agentOf, callerOf, type Guard, personOf } from '../identity/guard.ts'
import { callerKind, type Principal } from '../identity/principal.ts'
import type { Clock } from '../platform/clock.ts'
import type { JsonText } from '../platform/json.ts'
import { decodeCursor } from '../platform/page.ts'
import { invalid } from '../platform/problem.ts'
import { type Consultation, defaultTimeoutMinutes, type State } from './consultation.ts'
import { pageJson, requestJson } from './representation.ts'
import * as schemas from './schemas.ts'
import type { Consultations } from './service.ts'

export interface ConsultationRoutes {
  readonly consultations: Consultations
  readonly guard: Guard
  readonly clock: Clock
  /** A reason why this URL may not be called back, or null. */
  readonly refuseTarget: (url: string) => string | null
}

const security = [{ bearer: [] }, { person: [] }]
const oneRequest = (description: string) => success(description, Type.Ref('Request'), schemas.requestExample)

export function registerConsultationRoutes(app: FastifyInstance, routes: ConsultationRoutes): void {
  const { consultations, guard, clock, refuseTarget } = routes
  app.addSchema(schemas.requestSchema)
  app.addSchema(schemas.requestPageSchema)

  const sendRequest = (
    reply: FastifyReply,
    principal: Principal,
    consultation: Consultation,
    now = clock.now(),
  ): FastifyReply => {
    return reply.type('application/json; charset=utf-8').send(requestJson(consultation, callerKind(principal), now))
  }

  app.post<{ Body: Static<typeof schemas.createRequestBody> }>(
    '/requests',
    {
      ...guard('request.create'),
      schema: {
        tags: ['requests'],
        summary: 'Ask: an agent sends a request',
        operationId: 'createRequest',
        security,
        headers: idempotencyHeaders,
        body: { ...schemas.createRequestBody, examples: [schemas.createRequestExample] },
        response: { 201: oneRequest('The request, durable'), ...problems(400, 401, 403, 413, 415, 422) },
      },
    },
    async (request, reply) => {
      const { body, members } = request
      const callbackUrl = body.callback_webhook ?? null
      const refusal = callbackUrl === null ? null : refuseTarget(callbackUrl)
      if (refusal !== null) throw invalid('callback_webhook', `is refused: ${refusal.replace(/\.$/, '')}`)
      const by = agentOf(request)
      const { consultation, replayed } = await consultations.create(
        by,
        {
          title: body.title,
          description: body.description ?? null,
          context: members?.get('context') as JsonText,
          metadata: body.metadata == null ? null : (members?.get('metadata') as JsonText),
          timeoutMinutes: body.timeout_minutes === undefined ? defaultTimeoutMinutes : body.timeout_minutes,
          callbackUrl,
          callbackSecret: body.callback_secret ?? null,
          callbackRetrySeconds: body.callback_retry_seconds ?? null,
        },
        idempotencyOf(request),
      )
      if (replayed) reply.header('idempotency-replayed', 'true')
      reply.status(201).header('location', `/api/v1/requests/${consultation.id}`)
      // As of its creation: the repetition of a call gets the same bytes, however late it comes.
      return sendRequest(reply, by.principal, consultation, consultation.createdAt)
    },
  )

  app.get<{ Querystring: Static<typeof schemas.listQuery> }>(
    '/requests',
    {
      ...guard('request.read'),
      schema: {
        tags: ['requests'],
        summary: 'The inbox: requests, newest first; an API key sees its own',
        operationId: 'listRequests',
        security,
        querystring: schemas.listQuery,
        response: {
          200: success('A page of requests', Type.Ref('RequestPage'), {
            items: [schemas.requestExample],
            total: 1,
            limit: 20,
            offset: 0,
            next_cursor: null,
          }),
          ...problems(401, 403, 422),
        },
      },
    },
    async (request, reply) => {
      const { state, updated_after: updatedAfter, limit = 20, offset = 0, cursor } = request.query
      const { principal } = callerOf(request)
      const page = await consultations.list(principal, {
        state: (state as State | undefined) ?? null,
        updatedAfter: updatedAfter === undefined ? null : toInstant('updated_after', updatedAfter),
        before: cursor === undefined ? null : decodeCursor(cursor),
        limit,
        offset,
      })
      return reply.type('application/json; charset=utf-8').send(pageJson(page, callerKind(principal), clock.now()))
    },
  )

  app.get<{ Params: { id: string } }>(
    '/requests/:id',
    {
      ...guard('request.read'),
      schema: {
        tags: ['requests'],
        summary: 'One request',
        operationId: 'getRequest',
        security,
        params: idParams,
        response: { 200: oneRequest('The request'), ...problems(401, 403, 404, 422) },
      },
    },
    async (request, reply) => {
      const { principal } = callerOf(request)
      return sendRequest(reply, principal, await consultations.read(principal, request.params.id))
    },
  )

  app.post<{ Params: { id: string }; Body: Static<typeof schemas.respondBody> }>(
    '/requests/:id/respond',
    {
      ...guard('request.respond'),
      schema: {
        tags: ['requests'],
        summary: 'Answer: a person decides, once',
        operationId: 'respond',
        security,
        params: idParams,
        body: { ...schemas.respondBody, examples: [schemas.respondExample] },
        response: {
          200: oneRequest('The request with its answer'),
          ...problems(400, 401, 403, 404, 409, 412, 413, 415, 422),
        },
      },
    },
    async (request, reply) => {
      const { decision, comment = null, revision } = request.body
      const by = personOf(request)
      const answer = { decision: decision as 'approve' | 'reject' | 'request_changes', comment, revision }
      return sendRequest(reply, by.principal, await consultations.respond(by, request.params.id, answer))
    },
  )

  app.post<{ Params: { id: string } }>(
    '/requests/:id/cancel',
    {
      ...guard('request.cancel'),
      schema: {
        tags: ['requests'],
        summary: 'Withdraw a pending request',
        operationId: 'cancelRequest',
        security,
        params: idParams,
        response: { 200: oneRequest('The cancelled request'), ...problems(400, 401, 403, 404, 409, 413, 415, 422) },
      },
    },
    async (request, reply) => {
      const by = agentOf(request)
      return sendRequest(reply, by.principal, await consultations.cancel(by, request.params.id))
    },
  )

  app.post<{ Params: { id: string } }>(
    '/requests/:id/redeliver',
    {
      ...guard('request.redeliver'),
      schema: {
        tags: ['requests'],
        summary: 'Send the callback once more, with the same webhook-id',
        operationId: 'redeliver',
        security,
        params: idParams,
        response: {
          202: oneRequest('The request; its callback is due'),
          ...problems(400, 401, 403, 404, 409, 413, 415, 422),
        },
      },
    },
    async (request, reply) => {
      const by = callerOf(request)
      return sendRequest(reply.status(202), by.principal, await consultations.redeliver(by, request.params.id))
    },
  )
}
