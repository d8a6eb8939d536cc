import type { FastifyInstance, FastifyReply } from 'fastify'
import { type Static, Type } from 'typebox'
import { conditionalHeaders, isUnchanged, tagOf, unchanged } from '../http/conditional.ts'
import { idempotencyHeaders, idempotencyOf } from '../http/idempotency.ts'
import { idParams, problems, success, withHeaders } from '../http/openapi.ts'
import { listOf } from '../http/paging.ts'
import { problemBody, problemOf } from '../http/problems.ts'
import { traceparentOf } from '../http/trace-context.ts'
import { stepUpRequired } from '../identity/factors/step-up.ts'
import { demandPermitOf } from '../identity/factors/step-ups/demand-step-ups.ts'
import { agentOf, callerOf, type Guard, personOf } from '../identity/guard.ts'
import type { Principal } from '../identity/principal.ts'
import type { Clock } from '../platform/clock.ts'
import type { AnyRefusal } from '../platform/problem.ts'
import { nothingToRedeliver } from './callback-progress.ts'
import { certificateContradicts } from './certificate.ts'
import * as rules from './consultation.ts'
import * as hold from './hold.ts'
import { parseListQuery } from './list-query.ts'
import * as outcome from './outcome.ts'
import { outcomeBody, outcomeExample } from './outcome-schemas.ts'
import { metaSchema } from './questions/meta-schema.ts'
import { answerExamples, questionExamples } from './questions/schemas.ts'
import { confirmationRequired, surfaceRefused } from './questions/tiers.ts'
import { lightened, pageJson, pageTag, requestJson, requestTag } from './representation.ts'
import * as schemas from './schemas.ts'
import type { Consultations } from './service.ts'

export interface ConsultationRoutes {
  readonly consultations: Consultations
  readonly guard: Guard
  readonly clock: Clock
}

interface OneRequest {
  Params: { id: string }
}

const common = { tags: ['requests'] }
const oneRequest = (description: string) => success(description, Type.Ref('Request'), schemas.requestExample)
const closed = [rules.alreadyResponded, rules.alreadyTimeout, rules.alreadyCancelled] as const

export function registerConsultationRoutes(app: FastifyInstance, routes: ConsultationRoutes): void {
  app.addSchema(schemas.requestSchema)
  app.addSchema(schemas.requestPageSchema)
  app.addSchema(schemas.createdRequestsSchema)
  app.addSchema(schemas.countsSchema)
  app.addSchema(schemas.answeredManySchema)
  answerSchemaRoute(app, routes)
  createRoute(app, routes)
  createManyRoute(app, routes)
  listRoute(app, routes)
  countsRoute(app, routes)
  readRoute(app, routes)
  respondRoute(app, routes)
  respondManyRoute(app, routes)
  undoRoute(app, routes)
  cancelRoute(app, routes)
  redeliverRoute(app, routes)
  outcomeRoute(app, routes)
}

const json = 'application/json; charset=utf-8'

function send(reply: FastifyReply, caller: Principal, consultation: rules.Consultation, now: Date): FastifyReply {
  if (consultation.isRepeated === true) reply.header('idempotency-replayed', 'true')
  return reply.type(json).send(requestJson(consultation, caller, now))
}

function answerSchemaRoute(app: FastifyInstance, { guard }: ConsultationRoutes): void {
  const shown = Type.Object({}, { additionalProperties: true, description: 'A JSON Schema (2020-12).' })
  const schema = {
    ...common,
    summary: 'The schemas that a request can ask with: a JSON Schema of them',
    description: 'What `answer.form` and `action.args_schema` may be.',
    operationId: 'getAnswerSchema',
    response: { 200: success('The schema of schemas', shown, { $schema: metaSchema.$schema }), ...problems() },
  }
  const text = JSON.stringify(metaSchema)
  app.get('/answer-schema', { ...guard('request.read'), schema }, (_request, reply) => reply.type(json).send(text))
}

function createRoute(app: FastifyInstance, { consultations, guard }: ConsultationRoutes): void {
  const schema = {
    ...common,
    summary: 'Ask: create a request',
    operationId: 'createRequest',
    headers: schemas.askHeaders,
    body: { ...schemas.createRequestBody, examples: [schemas.createRequestExample, ...questionExamples] },
    response: { 201: withHeaders(oneRequest('The request, durable'), 'Location'), ...problems() },
  }
  app.post('/requests', { ...guard('request.create'), schema }, async (request, reply) => {
    const by = agentOf(request)
    const body = { value: request.body, members: request.members ?? new Map() }
    const { made, replayed } = await consultations.create(by, body, {
      idempotency: idempotencyOf(request),
      traceparent: traceparentOf(request),
    })
    if (replayed) reply.header('idempotency-replayed', 'true')
    reply.createdAt(`/api/v1/requests/${made.id}`)
    // As of its creation: a repeated call gets the same bytes, however late it comes.
    return send(reply, by.principal, made, made.createdAt)
  })
}

function createManyRoute(app: FastifyInstance, { consultations, guard }: ConsultationRoutes): void {
  const created = { items: [schemas.requestExample] }
  const schema = {
    ...common,
    summary: 'Ask: create many requests, all or none',
    description:
      'In one commit. A wrong field is named with its place: `requests.3.title`. The limit of the body (1 MiB, unless the ' +
      'installation has another) is that of all of them together.',
    operationId: 'createRequests',
    headers: schemas.askHeaders,
    body: { ...schemas.createRequestsBody, examples: [{ requests: [schemas.createRequestExample] }] },
    response: { 201: success('The requests, durable', Type.Ref('CreatedRequests'), created), ...problems() },
  }
  app.post('/requests/batch', { ...guard('request.create'), schema }, async (request, reply) => {
    const by = agentOf(request)
    const body = { value: request.body, members: request.members ?? new Map() }
    const { made, replayed } = await consultations.createMany(by, body, {
      idempotency: idempotencyOf(request, 'batch'),
      traceparent: traceparentOf(request),
    })
    if (replayed) reply.header('idempotency-replayed', 'true')
    const items = made.map((one) => requestJson(one, by.principal, one.createdAt))
    return reply
      .status(201)
      .type(json)
      .send(`{"items":[${items.join(',')}]}`)
  })
}

function listRoute(app: FastifyInstance, { consultations, guard, clock }: ConsultationRoutes): void {
  const page = {
    items: [schemas.requestExample],
    total: 1,
    limit: 20,
    offset: 0,
    next_cursor: null,
    watermark: '2026-01-31T09:05:00.000Z',
  }
  const schema = {
    ...common,
    summary: 'The inbox: requests, newest first; an agent sees its own',
    description:
      '`metadata.<name>=<value>` finds requests whose `metadata` has this member with this value, compared as text; metadata above ' +
      '4 KiB is not searched. With a filter on metadata, tags or a time, or with several filters, a page looks through 1 000 requests: it may have few items, ' +
      'or none, and a next_cursor. `queue` is for people: what one of them puts aside is out of their own queues alone, and no change of ' +
      'the request, so a differential poll does not show it.',
    operationId: 'listRequests',
    querystring: schemas.listQuery,
    headers: conditionalHeaders,
    response: {
      200: withHeaders(success('A page of requests', Type.Ref('RequestPage'), page), 'ETag'),
      304: withHeaders(unchanged, 'ETag'),
      ...problems(),
    },
  }
  app.get<{ Querystring: Static<typeof schemas.listQuery> }>(
    '/requests',
    { ...guard('request.read'), schema },
    async (request, reply) => {
      const { principal } = callerOf(request)
      const list = listOf(request)
      const found = await consultations.list(principal, parseListQuery(request.query, list, principal, clock.now()))
      if (isUnchanged(request, reply, pageTag(found, principal, clock.now(), list))) return reply.status(304).send()
      return reply.type(json).send(pageJson(found, principal, clock.now(), list))
    },
  )
}

function countsRoute(app: FastifyInstance, { consultations, guard }: ConsultationRoutes): void {
  const schema = {
    ...common,
    summary: "How many requests there are, by queue of the caller's inbox and by state",
    description: 'The stream of the inbox (`GET /stream`) sends the same numbers whenever they change.',
    operationId: 'countRequests',
    headers: conditionalHeaders,
    response: {
      200: withHeaders(success('The counts', Type.Ref('RequestCounts'), schemas.countsExample), 'ETag'),
      304: withHeaders(unchanged, 'ETag'),
      ...problems(),
    },
  }
  app.get('/requests/counts', { ...guard('queue.read'), schema }, async (request, reply) => {
    const { organizationId, userId } = personOf(request).principal
    const countsOf = await consultations.counts(organizationId, [userId])
    const text = JSON.stringify(countsOf(userId))
    if (isUnchanged(request, reply, tagOf(text))) return reply.status(304).send()
    return reply.type(json).send(text)
  })
}

function readRoute(app: FastifyInstance, { consultations, guard, clock }: ConsultationRoutes): void {
  const schema = {
    ...common,
    summary: 'One request',
    operationId: 'getRequest',
    params: idParams,
    headers: conditionalHeaders,
    response: {
      200: withHeaders(oneRequest('The request'), 'ETag'),
      304: withHeaders(unchanged, 'ETag'),
      ...problems(rules.notFound, rules.questionChanged, certificateContradicts),
    },
  }
  app.get<OneRequest>('/requests/:id', { ...guard('request.read'), schema }, async (request, reply) => {
    const by = callerOf(request)
    const shown = await consultations.show(by, request.params.id)
    if (isUnchanged(request, reply, requestTag(shown, by.principal, clock.now()))) return reply.status(304).send()
    return send(reply, by.principal, shown, clock.now())
  })
}

/** The schema of an act on one request, for the route to name. */
const actSchema = (summary: string, done: object, refusals: readonly AnyRefusal[]) => ({
  ...common,
  summary,
  params: idParams,
  response: { ...done, ...problems(rules.notFound, ...refusals) },
})

function respondRoute(app: FastifyInstance, { consultations, guard, clock }: ConsultationRoutes): void {
  const answered = { 200: oneRequest('The request with its answer') }
  const schema = {
    ...actSchema('Answer: a person decides, once', answered, [
      ...closed,
      rules.questionChanged,
      rules.otherQuestionShown,
      rules.revisionChanged,
      rules.takenBack,
      surfaceRefused,
      confirmationRequired,
      stepUpRequired,
    ]),
    operationId: 'respond',
    headers: idempotencyHeaders,
    body: { ...schemas.respondBody, examples: [schemas.respondExample, ...answerExamples] },
  }
  app.post<OneRequest>('/requests/:id/respond', { ...guard('request.respond'), schema }, async (request, reply) => {
    const by = personOf(request)
    const idempotency = idempotencyOf(request, 'respond')
    const body = { value: request.body, members: request.members ?? new Map() }
    const stepUp = request.headers['x-step-up'] === undefined ? null : demandPermitOf(request)
    const answered = await consultations.respond(by, request.params.id, body, idempotency, stepUp)
    return send(reply, by.principal, answered, clock.now())
  })
}

function respondManyRoute(app: FastifyInstance, { consultations, guard, clock }: ConsultationRoutes): void {
  const { id, revision } = schemas.requestExample
  const request = { ...schemas.requestExample, hold_seconds: 5 }
  const schema = {
    ...common,
    summary: 'Answer many requests at once',
    description:
      'Each answer is an act of its own, by the rules of `respond`: one that is refused does not undo the others, and its `problem` says why. ' +
      'Low risk may be answered like this. Medium risk only if all of that risk in the call are identical, which is: asked by the same agent, with the ' +
      'same `digest`; otherwise none of them is answered (consultation.not_identical). High and critical risk never ' +
      '(consultation.not_in_bulk).',
    operationId: 'respondMany',
    body: {
      ...schemas.respondManyBody,
      examples: [{ answers: [{ id, revision, decision: 'approve', hold_seconds: 5 }] }],
    },
    response: {
      200: success('What became of each', Type.Ref('AnsweredRequests'), { items: [{ id, status: 200, request }] }),
      ...problems(),
    },
  }
  app.post('/requests/respond', { ...guard('request.respond'), schema }, async (request, reply) => {
    const by = personOf(request)
    const body = { value: request.body, members: request.members ?? new Map() }
    const items = (await consultations.respondMany(by, body)).map(({ id, outcome }) => {
      if ('value' in outcome)
        return `{"id":"${id}","status":200,"request":${requestJson(lightened(outcome.value), by.principal, clock.now())}}`
      const problem = problemOf(outcome.error, request)
      return JSON.stringify({ id, status: problem.status, problem: problemBody(problem, request.id) })
    })
    return reply.type(json).send(`{"items":[${items.join(',')}]}`)
  })
}

function undoRoute(app: FastifyInstance, { consultations, guard, clock }: ConsultationRoutes): void {
  const schema = {
    ...actSchema('Take a decision back while it is held back', { 200: oneRequest('The request, open again') }, [
      hold.nothingToUndo,
      hold.notYours,
      hold.released,
    ]),
    description:
      'Only the person who decided can do this, until `held_until`. The agent never learns of the decision; the audit keeps it.',
    operationId: 'undo',
  }
  app.post<OneRequest>('/requests/:id/undo', { ...guard('request.respond'), schema }, async (request, reply) => {
    const by = personOf(request)
    return send(reply, by.principal, await consultations.undo(by, request.params.id), clock.now())
  })
}

function cancelRoute(app: FastifyInstance, { consultations, guard, clock }: ConsultationRoutes): void {
  const schema = {
    ...actSchema('Withdraw a pending request', { 200: oneRequest('The cancelled request') }, closed),
    operationId: 'cancelRequest',
    headers: idempotencyHeaders,
  }
  app.post<OneRequest>('/requests/:id/cancel', { ...guard('request.cancel'), schema }, async (request, reply) => {
    const by = agentOf(request)
    const cancelled = await consultations.cancel(by, request.params.id, idempotencyOf(request, 'cancel'))
    return send(reply, by.principal, cancelled, clock.now())
  })
}

function redeliverRoute(app: FastifyInstance, { consultations, guard, clock }: ConsultationRoutes): void {
  const due = { 202: oneRequest('The request; its callback is due') }
  const schema = {
    ...actSchema('Send the callback again, with the same webhook-id', due, [nothingToRedeliver]),
    operationId: 'redeliver',
  }
  app.post<OneRequest>('/requests/:id/redeliver', { ...guard('request.redeliver'), schema }, async (request, reply) => {
    const by = callerOf(request)
    return send(reply.status(202), by.principal, await consultations.redeliver(by, request.params.id), clock.now())
  })
}

function outcomeRoute(app: FastifyInstance, { consultations, guard, clock }: ConsultationRoutes): void {
  const schema = {
    ...actSchema('Report what came of the decision, once', { 200: oneRequest('The completed request') }, [
      outcome.nothingToReport,
      outcome.alreadyCompleted,
    ]),
    description: 'A call that repeats the same outcome gets the same reply.',
    operationId: 'reportOutcome',
    body: { ...outcomeBody, examples: [outcomeExample] },
  }
  app.post<OneRequest>('/requests/:id/outcome', { ...guard('request.report'), schema }, async (request, reply) => {
    const by = agentOf(request)
    const body = { value: request.body, members: request.members ?? new Map() }
    const { isRepeated: _, ...reported } = await consultations.report(by, request.params.id, body)
    return send(reply, by.principal, reported, clock.now())
  })
}
