import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { idParams, problems, success, withHeaders } from '../http/openapi.ts'
import { callerOf, type Guard } from '../identity/guard.ts'
import type { AnyRefusal } from '../platform/problem.ts'
import { eventStreamType, openEventStream } from './event-stream.ts'
import * as schemas from './schemas.ts'
import { noRoomToWait, type Shown, tooManyWaits, type WaitContext, type Waiting, waitFor } from './waits.ts'

export interface RealtimeRoutes {
  readonly waits: WaitContext
  readonly guard: Guard
  readonly longestWaitSeconds: number
  /** A reader that takes nothing of its stream for this long is disconnected. */
  readonly stalledAfterMs: number
  /** What `show` throws, for the documents. */
  readonly showRefusals: readonly AnyRefusal[]
  /** A request on the wire, for the documents. */
  readonly requestExample: object
}

interface OneRequest {
  Params: { id: string }
}

const json = 'application/json; charset=utf-8'

export function registerRealtimeRoutes(app: FastifyInstance, routes: RealtimeRoutes): void {
  waitRoute(app, routes)
  streamRoute(app, routes)
}

function waitingOf(request: FastifyRequest<OneRequest>, { raw }: Pick<FastifyReply, 'raw'>): Waiting {
  return {
    by: callerOf(request),
    requestId: request.params.id,
    // Whether a key may be used depends on the address, too.
    credential: `${request.client.address} ${request.headers.authorization}`,
    allowAgain: () => request.allowAgain(),
    // Who has gone before this is asked is not told of again.
    onGone: (act) => (raw.destroyed ? act() : raw.once('close', act)),
  }
}

function waitRoute(app: FastifyInstance, { waits, guard, longestWaitSeconds, ...documents }: RealtimeRoutes): void {
  const shown = success('The request as it is now', Type.Ref('Request'), documents.requestExample)
  const schema = {
    tags: ['requests'],
    summary: 'Wait until a request is no longer pending',
    description:
      'Replies at once when the request is not pending, else as soon as it is released, else when the time is up, with the request ' +
      'as it is: `state` is still `pending` then, so ask again. With `Retry-After`, the process stops: ask again after as many seconds.',
    operationId: 'waitForRequest',
    params: idParams,
    querystring: schemas.waitQuery,
    response: {
      200: withHeaders(shown, 'Retry-After'),
      ...problems(...documents.showRefusals, tooManyWaits, noRoomToWait),
    },
  }
  app.get<OneRequest & { Querystring: Static<typeof schemas.waitQuery> }>(
    '/requests/:id/wait',
    { ...guard('request.read'), schema },
    async (request, reply) => {
      const { timeout_seconds: asked = schemas.defaultWaitSeconds } = request.query
      // HEAD asks what GET would reply now.
      const seconds = request.method === 'HEAD' ? 0 : Math.min(asked, longestWaitSeconds)
      const waiting = waitingOf(request, reply)
      const text = await waitFor(waits, waiting, seconds * 1_000, (shown, over) => {
        if (shown.isPending && over === null && seconds > 0) return null
        if (shown.isPending && over?.why === 'stopping') reply.header('retry-after', '1')
        return shown.json()
      })
      // Null: nobody is there any more.
      return text === null ? reply.hijack() : reply.type(json).send(text)
    },
  )
}

function streamRoute(app: FastifyInstance, { waits, guard, stalledAfterMs, showRefusals }: RealtimeRoutes): void {
  const schema = {
    tags: ['requests'],
    summary: 'The events of a request, as they happen',
    description:
      'Server-sent events. `event` is the name of a callback event and `data` the body of that callback. The stream ends after the event ' +
      'that closes the request; a client that connects again with that event as `Last-Event-ID` gets 204, which ends an EventSource. A ' +
      'stream also ends when the process stops, when the credential is no longer valid, and when its reader takes nothing for REQUEST_TIMEOUT_SECONDS: ' +
      'connect again with the `Last-Event-ID`, and nothing is lost.',
    operationId: 'streamRequest',
    params: idParams,
    headers: schemas.streamHeaders,
    response: {
      200: {
        description: 'The events',
        content: {
          'text/event-stream': { schema: Type.String(), examples: { stream: { value: schemas.streamExample } } },
        },
      },
      204: { description: 'There is nothing after this event.', type: 'null' },
      ...problems(...showRefusals, tooManyWaits, noRoomToWait),
    },
  }
  app.get<OneRequest>('/requests/:id/stream', { ...guard('request.read'), schema }, async (request, reply) => {
    const given = request.headers['last-event-id']
    let last = typeof given === 'string' ? given : null
    let stream: ReturnType<typeof openEventStream> | null = null
    const waiting = waitingOf(request, reply)

    /** Sends what came after the last event; returns how the stream ends, or null while it goes on. */
    const look = (shown: Shown): 'nothing' | 'end' | null => {
      const events = shown.events()
      const unsent = events.slice(events.findIndex(({ id }) => id === last) + 1)
      if (unsent.length === 0 && !shown.isPending && stream === null) return 'nothing'
      if (request.method === 'HEAD') return 'end'
      stream ??= openEventStream(reply, stalledAfterMs)
      for (const event of unsent) {
        if (!stream.send(event)) return 'end'
        last = event.id
      }
      return shown.isPending ? null : 'end'
    }

    let how: 'nothing' | 'end' | null = null
    try {
      how = await waitFor(waits, waiting, null, look)
    } catch (error) {
      // Once the head is sent, the end of the stream is all that can be said: the next try gets the refusal.
      if (stream === null) throw error
      request.log.info({ err: error }, 'a stream was ended')
    }
    if (stream !== null) (stream as ReturnType<typeof openEventStream>).end()
    else if (how === 'nothing') return reply.status(204).send()
    else if (request.method === 'HEAD') return reply.type(eventStreamType).send()
    return reply
  })
}
