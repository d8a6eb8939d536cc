import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { problems } from '../http/openapi.ts'
import { notAWebSocket } from '../http/web-sockets.ts'
import { type Guard, personOf } from '../identity/guard.ts'
import { eventStreamType } from './event-stream.ts'
import {
  connectEventStream,
  connectWebSocket,
  createSlowReaders,
  mostStreamsOfPerson,
  type PersonStreams,
  type SlowReaders,
  tooManyStreams,
} from './person-streams.ts'
import { streamHeaders, webSocketQuery } from './schemas.ts'
import { inboxStreamExample, noticeSchema, presenceSchema, resetSchema } from './stream-schemas.ts'
import { noRoomToWait, tooManyWaits } from './waits.ts'

export interface StreamRoutes {
  readonly streams: PersonStreams
  readonly guard: Guard
  /** A reader that takes nothing of its stream for this long is disconnected. */
  readonly stalledAfterMs: number
  /** The schema of a request, for the documents. */
  readonly requestSchema: Parameters<typeof noticeSchema>[0]
}

const eventData = {
  reset: Type.Ref('StreamReset'),
  'request.new': Type.Ref('RequestNotice'),
  'request.changed': Type.Ref('RequestNotice'),
  counts: Type.Ref('RequestCounts'),
  presence: Type.Ref('RequestPresence'),
}

/** Whether a key may be used depends on the address, too; a cookie may change while its session goes on. */
function credentialOf({ cookieSession, client, headers }: FastifyRequest): string {
  return cookieSession === null ? `${client.address} ${headers.authorization}` : cookieSession.sessionId
}

export function registerStreamRoutes(app: FastifyInstance, routes: StreamRoutes): void {
  const { streams, guard, stalledAfterMs, requestSchema } = routes
  const slow = createSlowReaders()
  webSocketRoute(app, { streams, guard, slow })
  app.addSchema(noticeSchema(requestSchema))
  app.addSchema(resetSchema)
  app.addSchema(presenceSchema)
  const schema = {
    tags: ['requests'],
    summary: 'What happens in the inbox, as it happens',
    description:
      'Server-sent events for people. `reset` (`StreamReset`): read the lists and the counts now; it is sent first, and when more was ' +
      'missed than is told one by one. `request.new` and `request.changed` (`RequestNotice`): a request as it is now; of several changes ' +
      'that follow at once, only the last may be told. `counts` (`RequestCounts`): the numbers beside the queues, at most once a second. ' +
      '`presence` (`RequestPresence`): who looks at a request now. ' +
      'A client that connects again with the id of the last event in `Last-Event-ID` gets what it missed, each change once, from any ' +
      'process. The stream ends when the session does, when the process stops, and when its reader takes too little. ' +
      `A person may have ${mostStreamsOfPerson} streams open. Pages of this service may show the session cookie instead of a token, ` +
      'as EventSource does.',
    operationId: 'streamInbox',
    headers: streamHeaders,
    response: {
      200: {
        description: 'The messages',
        content: {
          [eventStreamType.split(';')[0] ?? '']: {
            // OpenAPI 3.1 has no words for the members of a stream.
            schema: Type.String({ 'x-event-data': eventData }),
            examples: { stream: { value: inboxStreamExample } },
          },
        },
      },
      ...problems(tooManyStreams, tooManyWaits, noRoomToWait),
    },
  }
  app.get('/stream', { ...guard('queue.read', { takesCookie: true }), schema }, async (request, reply) => {
    if (request.method === 'HEAD') return reply.type(eventStreamType).send()
    const by = personOf(request)
    const lastEventId = request.headers['last-event-id']
    streams.open({
      by,
      credential: credentialOf(request),
      allowAgain: () => request.allowAgain(),
      lastEventId: typeof lastEventId === 'string' ? lastEventId : null,
      connect: () => connectEventStream(reply, by.principal.organizationId, { slow, stalledAfterMs }),
      // Who has gone before this is asked is not told of again.
      onGone: (act) => (reply.raw.destroyed ? act() : reply.raw.once('close', act)),
    })
    return reply
  })
}

function webSocketRoute(
  app: FastifyInstance,
  { streams, guard, slow }: Pick<StreamRoutes, 'streams' | 'guard'> & { readonly slow: SlowReaders },
): void {
  const schema = {
    tags: ['requests'],
    summary: 'What happens in the inbox, over a WebSocket',
    description:
      'The messages of `GET /stream`, for clients that have no server-sent events: each is one text, ' +
      '`{"id": "...", "event": "request.new", "data": {...}}`. A client that connects again names the last `id` in `last_event_id`. ' +
      'The socket only tells: whoever sends something is disconnected with 1003. It closes with 1008 when the session ends, and with 1012 ' +
      'when the process stops: connect again. Pages of this service may show the session cookie instead of a token, which browsers cannot send here.',
    operationId: 'connectInbox',
    querystring: webSocketQuery,
    response: {
      101: { description: 'The messages follow', type: 'null' },
      ...problems(notAWebSocket, tooManyStreams, tooManyWaits, noRoomToWait),
    },
  }
  app.get<{ Querystring: Static<typeof webSocketQuery> }>(
    '/ws',
    { ...guard('queue.read', { takesCookie: true }), schema },
    async (request, reply) => {
      const by = personOf(request)
      const { organizationId } = by.principal
      let socket: ReturnType<typeof reply.acceptWebSocket> | null = null
      streams.open({
        by,
        credential: credentialOf(request),
        allowAgain: () => request.allowAgain(),
        lastEventId: request.query.last_event_id ?? null,
        connect: () => {
          socket = reply.acceptWebSocket()
          return connectWebSocket(socket, organizationId, { slow, log: request.log })
        },
        onGone: (act) => (socket?.readyState === socket?.CLOSED ? act() : socket?.once('close', act)),
      })
      return reply
    },
  )
}
