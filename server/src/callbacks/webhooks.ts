import { Type } from 'typebox'
import type { Webhooks } from '../http/openapi-document.ts'
import { nullable, time, uuid } from '../http/schema-parts.ts'
import { besides, closings } from './order.ts'

const free = (description: string) => Type.Object({}, { additionalProperties: true, description })

const callbackSchema = Type.Object(
  {
    event: Type.Enum([...Object.values(closings), ...Object.values(besides)], {
      title: 'CallbackEvent',
      description: 'What happened to the request.',
    }),
    request_id: uuid('The request.'),
    metadata: nullable(
      Type.Object({}, { additionalProperties: true, description: "The agent's own data, exactly as sent." }),
    ),
    response: nullable(
      Type.Object(
        {
          decision: nullable(
            Type.String({
              description: 'approve, reject, request_changes or acknowledge; null where none was asked for.',
            }),
          ),
          comment: nullable(Type.String({ description: 'What the person adds.' })),
          choices: nullable(Type.Array(Type.String(), { description: 'The ids of the options chosen.' })),
          data: nullable(free('The values of the form.')),
          args: nullable(free('The edited arguments, to be used instead of those proposed; null: as they were.')),
          args_patch: nullable(
            Type.Array(free('An operation.'), { description: 'RFC 6902: from action.args to `args`.' }),
          ),
          attachments: nullable(
            Type.Array(Type.Ref('#/components/schemas/Attachment'), {
              description: 'The files of the answer: read them from the request.',
            }),
          ),
          responder_id: uuid('The person who answered.'),
          responder: Type.Optional(
            Type.Object(
              {
                id: uuid('The person who answered.'),
                name: nullable(Type.String({ description: 'Their name at that time.' })),
              },
              {
                title: 'CallbackResponder',
                description: 'Who answered. Missing when a callback from before this was told is sent again.',
              },
            ),
          ),
          responded_at: time('When it was answered.'),
          revision: Type.Integer({ description: 'The revision that was answered.' }),
        },
        { title: 'CallbackResponse', description: 'The answer; null where the request ended without one.' },
      ),
    ),
    timestamp: time('When it happened.'),
    state: Type.String({
      description: 'responded, timeout or cancelled; of request.revised pending, of request.completed completed.',
    }),
    revision: Type.Integer({ description: 'The revision that it is about.' }),
    digest: Type.String({ description: 'SHA-256, in hex, over the RFC 8785 JSON of what was asked: see the request.' }),
    certificate: nullable(
      Type.String({ description: 'The decision as a compact JWS (EdDSA); see docs/certificates.md.' }),
    ),
    outcome: Type.Optional(
      Type.Object(
        {
          status: Type.String({ description: 'executed, failed or unknown.' }),
          detail: nullable(Type.String({ description: 'What happened, in words.' })),
          data: nullable(free('What came of it.')),
          reported_at: time('When the agent reported it.'),
        },
        { title: 'CallbackOutcome', description: 'What the agent reported. Of request.completed only.' },
      ),
    ),
  },
  { title: 'Callback' },
)

const example = {
  event: 'request.responded',
  request_id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a61',
  metadata: { run: 'cleanup-2026-01-31' },
  response: {
    decision: 'approve',
    comment: 'Fine, but keep vol-2.',
    choices: null,
    data: null,
    args: null,
    args_patch: null,
    attachments: null,
    responder_id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a59',
    responder: { id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a59', name: 'Robin Reviewer' },
    responded_at: '2026-01-31T09:05:00.000Z',
    revision: 1,
  },
  timestamp: '2026-01-31T09:05:00.000Z',
  state: 'responded',
  revision: 1,
  digest: '5fc2b16b9a4c4ff7b7a0d1f4d3a2c1e0b9f8e7d6c5b4a39281706f5e4d3c2b1a',
  certificate:
    'eyJhbGciOiJFZERTQSIsInR5cCI6ImhpdGwtZGVjaXNpb24rand0Iiwia2lkIjoiLi4uIn0.eyJkZWNpc2lvbiI6ImFwcHJvdmUifQ.c2lnbmF0dXJl',
}

const header = (name: string, required: boolean, description: string) => ({
  in: 'header',
  name,
  required,
  description,
  schema: { type: 'string' },
})

/** What receivers get, for the documents. */
export const callbackWebhooks: Webhooks = {
  callback: {
    askedBy: { operationId: 'createRequest', address: '{$request.body#/callback_webhook}', as: 'outcome' },
    post: {
      operationId: 'callback',
      summary: 'A request was answered, timed out, was withdrawn, revised or completed: sent to its callback_webhook',
      description:
        'Sent again until the receiver replies 2xx, by the schedule of the request; redirects are not followed. ' +
        'request.revised and request.completed are sent to requests whose callback_events name them. Callbacks may arrive in another order than ' +
        'they were made: go by `revision` and `timestamp`. What a revision makes void is not sent any more. Compute the signature over ' +
        'the bytes of the body as they arrive.',
      tags: ['requests'],
      security: [],
      parameters: [
        header('webhook-id', true, 'The same for every attempt: drop what you have already.'),
        header('webhook-timestamp', true, 'When this attempt was made, in seconds since 1970.'),
        header(
          'webhook-signature',
          false,
          '`v1,` and the base64 HMAC-SHA256 of `id.timestamp.body` (Standard Webhooks). Where the request has a callback_secret.',
        ),
        header(
          'x-webhook-signature',
          false,
          '`sha256=` and the hex HMAC-SHA256 of the body. Where the request has a callback_secret.',
        ),
        header('traceparent', false, 'W3C Trace Context of the call that asked, where it had one.'),
      ],
      requestBody: { required: true, content: { 'application/json': { schema: callbackSchema, example } } },
      responses: {
        '2XX': { description: 'Received.' },
        '410': { description: 'No further attempt is wanted.' },
        default: { description: 'Not received: it is sent again. `Retry-After` is honoured.' },
      },
    },
  },
}
