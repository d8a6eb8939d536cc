import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { problems } from '../http/openapi.ts'
import { type Guard, personOf } from '../identity/guard.ts'
import { eventStreamType } from './event-stream.ts'
import {
  connectEventStream,
  createSlowReaders,
  mostStreamsOfPerson,
  type PersonStreams,
  tooManyStreams,
} from './person-streams.ts'
import { streamHeaders } from './schemas.ts'
import { inboxStreamExample, noticeSchema, resetSchema } from './stream-schemas.ts'
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
}

/** Whether a key may be used depends on the address, too; a cookie may change while its session goes on. */
function credentialOf({ cookieSession, client, headers }: FastifyRequest): string {
  return cookieSession === null ? `${client.address} ${headers.authorization}` : cookieSession.sessionId
}

export function registerStreamRoutes(app: FastifyInstance, routes: StreamRoutes): void {
  const { streams, guard, stalledAfterMs, requestSchema } = routes
  const slow = createSlowReaders()
  app.addSchema(noticeSchema(requestSchema))
  app.addSchema(resetSchema)
  const schema = {
    tags: ['requests'],
    summary: 'What happens in the inbox, as it happens',
    description:
      'Server-sent events for people. `reset` (`StreamReset`): read the lists and the counts now; it is sent first, and when more was ' +
      'missed than is told one by one. `request.new` and `request.changed` (`RequestNotice`): a request as it is now; of several changes ' +
      'that follow at once, only the last may be told. `counts` (`RequestCounts`): the numbers beside the queues, at most once a second. ' +
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
