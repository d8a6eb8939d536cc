import { Type } from 'typebox'

export const defaultWaitSeconds = 30

export const waitQuery = Type.Object({
  timeout_seconds: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 55,
      default: defaultWaitSeconds,
      description: 'How long to wait, in seconds. The installation may have a shorter limit.',
    }),
  ),
})

const lastEventId = Type.String({
  maxLength: 200,
  description: 'The id of the last event that was received: the stream goes on after it.',
})

export const webSocketQuery = Type.Object({ last_event_id: Type.Optional(lastEventId) })

export const streamHeaders = Type.Object({
  'last-event-id': Type.Optional(lastEventId),
})

export const streamExample = [
  'retry: 2000',
  '',
  'id: 1-request.responded',
  'event: request.responded',
  'data: {"event":"request.responded","request_id":"01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a61","state":"responded"}',
  '',
].join('\n')
