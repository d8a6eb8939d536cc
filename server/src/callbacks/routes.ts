import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import type { ListedDelivery } from '../deliveries/list-store.ts'
import type { Attempt } from '../deliveries/store.ts'
import { toInstant } from '../http/instant.ts'
import { idParams, problems, success } from '../http/openapi.ts'
import { listOf, pageSchema, readPageQuery, wholeListJson } from '../http/paging.ts'
import { callerOf, type Guard, personOf } from '../identity/guard.ts'
import type { Caller, Person, Principal } from '../identity/principal.ts'
import { decodeCursor, encodeCursor } from '../platform/page.ts'
import { type AnyRefusal, invalid } from '../platform/problem.ts'
import { notReceived } from './callback.ts'
import * as schemas from './schemas.ts'
import type { Callbacks } from './service.ts'

export interface CallbackRoutes {
  readonly callbacks: Callbacks
  readonly guard: Guard
  /** Throws 404 when the principal may not see the request. */
  readonly requireVisible: (principal: Principal, requestId: string) => Promise<unknown>
  /** Makes this callback of a request due again; false when it is not the one that reports how the request was closed. */
  readonly redeliver: (by: Caller<Person>, requestId: string, callbackId: string) => Promise<boolean>
  /** What `requireVisible` throws, for the documents. */
  readonly requestNotFound: AnyRefusal
}

export function registerCallbackRoutes(app: FastifyInstance, routes: CallbackRoutes): void {
  app.addSchema(schemas.deliverySchema)
  app.addSchema(pageSchema('DeliveryPage', Type.Ref('Delivery')))
  app.addSchema(schemas.callbackSchema)
  app.addSchema(pageSchema('CallbackPage', Type.Ref('ListedCallback')))
  app.addSchema(schemas.redeliveredSchema)
  deliveriesRoute(app, routes)
  listRoute(app, routes)
  redeliverRoute(app, routes)
}

function deliveriesRoute(app: FastifyInstance, routes: CallbackRoutes): void {
  const { callbacks, guard, requireVisible, requestNotFound } = routes
  app.get<{ Params: { id: string } }>(
    '/requests/:id/deliveries',
    {
      ...guard('request.read'),
      schema: {
        tags: ['requests'],
        summary: 'Every attempt to deliver the callback, newest first',
        operationId: 'listDeliveries',
        params: idParams,
        response: {
          200: success('The attempts', Type.Ref('DeliveryPage'), {
            items: [schemas.deliveryExample],
            next_cursor: null,
          }),
          ...problems(requestNotFound),
        },
      },
    },
    async (request) => {
      const { principal } = callerOf(request)
      await requireVisible(principal, request.params.id)
      const rows = await callbacks.attempts(principal.organizationId, request.params.id)
      return wholeListJson(rows, deliveryJson)
    },
  )
}

const forPeople = { tags: ['callbacks'] }

function listRoute(app: FastifyInstance, { callbacks, guard }: CallbackRoutes): void {
  const page = { items: [schemas.callbackExample], next_cursor: null }
  const schema = {
    ...forPeople,
    summary: 'The callbacks of all requests, newest first',
    description:
      'A page looks through 2 000 callbacks (or that many failed ones): with a filter it may have few items, or none, and a next_cursor.',
    operationId: 'listCallbacks',
    querystring: schemas.callbacksQuery,
    response: { 200: success('A page of callbacks', Type.Ref('CallbackPage'), page), ...problems() },
  }
  app.get<{ Querystring: Static<typeof schemas.callbacksQuery> }>(
    '/callbacks',
    { ...guard('callback.read'), schema },
    async (request) => {
      const { organizationId } = personOf(request).principal
      const { status = null, ...filter } = request.query
      const { limit, after: before } = readPageQuery(request)
      const { items, next } = await callbacks.list({ organizationId, status, ...readFilter(filter), before, limit })
      return { items: items.map(callbackJson), next_cursor: next && encodeCursor(next, listOf(request)) }
    },
  )
}

function redeliverRoute(app: FastifyInstance, { callbacks, guard, redeliver }: CallbackRoutes): void {
  const done = { redelivered: 100, skipped: 0, next_cursor: null }
  const schema = {
    ...forPeople,
    summary: 'Send many callbacks again: those that failed, or were sent',
    description:
      'Each gets a new round of attempts, with the same webhook-id and the same bytes. A call takes as many as `limit` says; ' +
      'repeat it with `cursor` until next_cursor is null. Skipped are those that count no more, and request.revised and ' +
      'request.completed, which are not sent again.',
    operationId: 'redeliverCallbacks',
    body: { ...schemas.redeliverBody, examples: [schemas.redeliverExample] },
    response: {
      202: success('How many are due again', Type.Ref('RedeliveredCallbacks'), done),
      ...problems(),
    },
  }
  app.post<{ Body: Static<typeof schemas.redeliverBody> }>(
    '/callbacks/redeliver',
    { ...guard('callback.redeliver'), schema },
    async (request, reply) => {
      const by = personOf(request)
      const { organizationId } = by.principal
      const { status = 'failed', limit = 100, cursor, ...filter } = request.body
      const list = `redeliver ${JSON.stringify([status, filter.target, filter.since])}`
      const before = cursor === undefined ? null : decodeCursor(cursor, list)
      const { items, next } = await callbacks.list({ organizationId, status, ...readFilter(filter), before, limit })
      const done = await Promise.all(items.map(({ id, subjectId }) => redeliver(by, subjectId, id)))
      const redelivered = done.filter((isDue) => isDue).length
      const skipped = done.length - redelivered
      return reply.status(202).send({ redelivered, skipped, next_cursor: next && encodeCursor(next, list) })
    },
  )
}

function readFilter({ target, since }: { readonly target?: string; readonly since?: string }) {
  return {
    target: target === undefined ? null : originOf(target),
    since: since === undefined ? null : toInstant('since', since),
  }
}

function originOf(target: string): string {
  const url = URL.canParse(target) ? new URL(target) : null
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw invalid('target', 'must be an address such as https://agent.example.com')
  }
  return url.origin
}

function callbackJson({ id: webhook_id, subjectId: request_id, address: url, ...row }: ListedDelivery) {
  const { event, target, status, attempts, nextAttemptAt, lastError, lastStatusCode, createdAt, updatedAt } = row
  return {
    request_id,
    webhook_id,
    event,
    url,
    target,
    status,
    attempts,
    next_attempt_at: nextAttemptAt,
    last_error: lastError ?? (lastStatusCode === null ? null : notReceived(lastStatusCode)),
    created_at: createdAt,
    updated_at: updatedAt,
  }
}

/** An attempt on the wire. */
export function deliveryJson({ delivery_id: webhook_id, address: url, ...row }: Attempt) {
  const { id, attempt, succeeded, status_code, duration_ms, reply, error_code, error, started_at } = row
  return { id, webhook_id, attempt, url, succeeded, status_code, duration_ms, reply, error_code, error, started_at }
}
