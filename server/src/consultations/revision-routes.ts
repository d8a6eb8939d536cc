import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { idParams, problems, success, withHeaders } from '../http/openapi.ts'
import { listOf } from '../http/paging.ts'
import { traceparentOf } from '../http/trace-context.ts'
import { agentOf, callerOf } from '../identity/guard.ts'
import { decodeCursor, encodeCursor } from '../platform/page.ts'
import * as rules from './consultation.ts'
import { requestJson } from './representation.ts'
import { mostRevisions, tooManyRevisions } from './revision.ts'
import * as schemas from './revision-schemas.ts'
import type { ConsultationRoutes } from './routes.ts'
import { askHeaders, requestExample } from './schemas.ts'

interface OneRequest {
  Params: { id: string }
}

const common = { tags: ['requests'], params: idParams }
const json = 'application/json; charset=utf-8'
/** A cursor is the number of the last revision that was shown. */
const cursorForm = /^\d{1,9}$/

/** Register these after the routes of requests, whose schemas they use. */
export function registerRevisionRoutes(app: FastifyInstance, routes: ConsultationRoutes): void {
  app.addSchema(schemas.revisionSchema)
  app.addSchema(schemas.revisionPageSchema)
  reviseRoute(app, routes)
  listRoute(app, routes)
}

function reviseRoute(app: FastifyInstance, { consultations, guard, clock }: ConsultationRoutes): void {
  const { 'idempotency-key': _, ...headers } = askHeaders.properties
  const revised = { ...requestExample, state: 'pending', revision: 2 }
  const schema = {
    ...common,
    summary: 'Ask something else in the place of what was asked',
    description:
      'While the request is pending, and after `request_changes`: it is pending again, under the same id, with the next `revision` and a ' +
      'new `timeout_at`. The body is a whole new request: what it leaves out is gone, but for the files, which stay until they are ' +
      'removed. A decision that is held back becomes void; a callback about the earlier revision that was not received yet is not ' +
      `sent any more, unless it is on its way. A request has at most ${mostRevisions} revisions.`,
    operationId: 'reviseRequest',
    headers: Type.Object(headers),
    body: { ...schemas.reviseRequestBody, examples: [schemas.reviseRequestExample] },
    response: {
      201: withHeaders(success('The request with its new revision, durable', Type.Ref('Request'), revised), 'Location'),
      ...problems(
        rules.notFound,
        rules.alreadyResponded,
        rules.alreadyTimeout,
        rules.alreadyCancelled,
        tooManyRevisions,
        rules.questionChanged,
        rules.revisionChanged,
      ),
    },
  }
  app.post<OneRequest>('/requests/:id/revisions', { ...guard('request.create'), schema }, async (request, reply) => {
    const by = agentOf(request)
    const body = { value: request.body, members: request.members ?? new Map() }
    const revised = await consultations.revise(by, request.params.id, body, traceparentOf(request))
    reply.createdAt(`/api/v1/requests/${revised.id}`)
    return reply.type(json).send(requestJson(revised, by.principal, clock.now()))
  })
}

function listRoute(app: FastifyInstance, { consultations, guard }: ConsultationRoutes): void {
  const page = success('A page of revisions', Type.Ref('RevisionPage'), schemas.revisionsExample)
  const schema = {
    ...common,
    summary: 'What a request asks and has asked: its revisions, newest first',
    description:
      'Each with the JSON Patch from the one before, and with its answer. Read the request for the one that counts.',
    operationId: 'listRevisions',
    querystring: schemas.revisionsQuery,
    response: { 200: page, ...problems(rules.notFound) },
  }
  app.get<OneRequest & { Querystring: Static<typeof schemas.revisionsQuery> }>(
    '/requests/:id/revisions',
    { ...guard('request.read'), schema },
    async (request, reply) => {
      const list = listOf(request)
      const { cursor, limit = mostRevisions } = request.query
      const before = cursor === undefined ? null : Number(decodeCursor(cursor, list, cursorForm))
      const { items, next } = await consultations.revisions(callerOf(request), request.params.id, { before, limit })
      const more = next === null ? 'null' : `"${encodeCursor(String(next), list)}"`
      return reply.type(json).send(`{"items":[${items.join(',')}],"next_cursor":${more}}`)
    },
  )
}
