import { Type } from 'typebox'
import { pageQuery } from '../http/paging.ts'
import { id, nullable, time } from '../http/schema-parts.ts'
import { listedStatuses } from './callback.ts'

export const deliverySchema = Type.Object(
  {
    id,
    webhook_id: Type.String({ format: 'uuid', description: 'The `webhook-id` header: the same for all attempts.' }),
    attempt: Type.Integer({ minimum: 1, description: 'Its number, from 1.' }),
    url: Type.String({ description: 'Where it was sent.' }),
    succeeded: Type.Boolean({ description: 'The receiver replied 2xx.' }),
    status_code: nullable(Type.Integer({ description: 'What the receiver replied; null when nothing.' })),
    duration_ms: Type.Integer({ description: 'How long it took.' }),
    reply: Type.String({ description: 'The first 1 000 characters of the reply.' }),
    error_code: nullable(
      Type.String({
        description: 'target_refused, dns, connect, tls, timeout, reset, protocol, redirect, secret, changed or body.',
      }),
    ),
    error: nullable(Type.String({ description: 'The reason in a sentence.' })),
    started_at: time('When it began.'),
  },
  { $id: 'Delivery', title: 'Delivery' },
)

export const deliveryExample = {
  id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a62',
  webhook_id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a63',
  attempt: 1,
  url: 'https://agent.example.com/hitl',
  succeeded: true,
  status_code: 200,
  duration_ms: 38,
  reply: 'ok',
  error_code: null,
  error: null,
  started_at: '2026-01-31T09:05:00.003Z',
}

const statusMeaning =
  'pending: due, not tried yet; delivering: attempts failed, quick retries follow; failed: these are used up, and where there is a ' +
  'next_attempt_at, the recovery goes on; withdrawn: it was not received and is not sent any more, because the request was revised or ' +
  'erased.'

export const callbackSchema = Type.Object(
  {
    request_id: id,
    webhook_id: Type.String({ format: 'uuid', description: 'The `webhook-id` header.' }),
    event: Type.String({ description: 'What it reports, such as request.responded.' }),
    url: Type.String({ description: 'Empty after an erasure.' }),
    target: Type.String({ description: 'scheme://host:port of the URL: breakers open and close per target.' }),
    status: Type.Enum(listedStatuses, { description: statusMeaning }),
    attempts: Type.Integer({ description: 'How often it was tried.' }),
    next_attempt_at: nullable(
      Type.String({ format: 'date-time', description: 'Null while it is tried, and when nothing more is due.' }),
    ),
    last_error: nullable(Type.String({ description: 'Why the last attempt failed, or why it was withdrawn.' })),
    created_at: time('When it first fell due.'),
    updated_at: time('When it was last tried, asked for or withdrawn.'),
  },
  { $id: 'ListedCallback', title: 'ListedCallback' },
)

const filter = {
  target: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 2_048,
      description: 'Callbacks to this scheme://host:port; a whole URL will do.',
    }),
  ),
  since: Type.Optional(
    Type.String({ maxLength: 64, description: 'RFC 3339; only callbacks that first fell due at this time or later.' }),
  ),
}
const { cursor } = pageQuery.properties

export const callbacksQuery = Type.Object({
  status: Type.Optional(Type.Enum(listedStatuses, { description: statusMeaning })),
  ...filter,
  ...pageQuery.properties,
})

export const redeliverBody = Type.Object(
  {
    status: Type.Optional(
      Type.Enum(['failed', 'sent'], {
        description: 'failed by default. sent: send again what was delivered, for a receiver that lost it.',
      }),
    ),
    ...filter,
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, description: 'How many at most; 100 by default.' })),
    cursor,
  },
  { title: 'RedeliverCallbacks' },
)

export const redeliverExample = { status: 'failed', target: 'https://agent.example.com' } as const

export const redeliveredSchema = Type.Object(
  {
    redelivered: Type.Integer({ description: 'Callbacks that are due again.' }),
    skipped: Type.Integer({
      description:
        'Callbacks that somebody else sent, or asked for, in the meantime, and those that are not sent again.',
    }),
    next_cursor: nullable(Type.String({ description: 'There may be more: call again with it as `cursor`.' })),
  },
  { $id: 'RedeliveredCallbacks', title: 'RedeliveredCallbacks' },
)

export const callbackExample = {
  request_id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a58',
  webhook_id: deliveryExample.webhook_id,
  event: 'request.responded',
  url: deliveryExample.url,
  target: 'https://agent.example.com',
  status: 'failed',
  attempts: 4,
  next_attempt_at: '2026-01-31T09:06:15.000Z',
  last_error: 'The receiver replied 503; only 2xx counts as received.',
  created_at: '2026-01-31T09:05:00.003Z',
  updated_at: '2026-01-31T09:05:15.000Z',
} as const
