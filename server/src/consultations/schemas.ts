import { type TSchema, Type } from 'typebox'
import { idempotencyHeaders } from '../http/idempotency.ts'
import { createdAt, id, line, nullable, sha256Hex, time, updatedAt, uuid } from '../http/schema-parts.ts'
import { says } from '../platform/validation.ts'
import { certificateText, digestExample } from './certificate-schemas.ts'
import {
  callbackEvents,
  callbackStatuses,
  deciders,
  defaultTimeoutMinutes,
  dueSoonMinutes,
  longestHoldSeconds,
  mostCounted,
  sorts,
  states,
} from './consultation.ts'
import { reportedOutcome } from './outcome-schemas.ts'
import {
  answerMembers,
  decision,
  questionMembers,
  responseExample,
  responseMembers,
  shownMembers,
} from './questions/schemas.ts'
import { priorities, risks } from './questions/tiers.ts'
import { queues } from './queues.ts'
import { highlightedFields } from './search/highlights.ts'

const state = Type.Enum(states, {
  title: 'RequestState',
  description:
    'pending until it is answered, times out or is withdrawn. After that it says how far the callback has come.',
})
const decider = Type.Enum(deciders, { title: 'Decider', description: 'What brought the decision about.' })
const comment = 'What the person adds.'

/** May be null or left out, which mean the same unless the description says otherwise. */
const maybe = <T extends TSchema>(schema: T) => Type.Optional(nullable(schema))

export const createRequestBody = Type.Object(
  {
    title: line({ description: 'What is asked, in one line.' }),
    description: maybe(Type.String({ maxLength: 100_000, description: 'What is asked, at length.' })),
    context: Type.Object(
      {},
      { additionalProperties: true, description: 'What a person needs to know. Returned exactly as sent.' },
    ),
    metadata: maybe(
      Type.Object({}, { additionalProperties: true, description: "The agent's own data; returned in the callback." }),
    ),
    ...questionMembers,
    callback_webhook: maybe(
      Type.String({ minLength: 1, maxLength: 2_048, description: 'http(s) URL the answer is posted to.' }),
    ),
    callback_secret: maybe(
      Type.String({
        minLength: 1,
        maxLength: 255,
        description:
          'Signs the callback: whsec_ and base64 of the key, as Standard Webhooks has it, or any other text, which is the key itself. ' +
          'No blank or line end at either end. Never returned.',
      }),
    ),
    callback_retry_seconds: maybe(
      Type.Array(Type.Integer({ minimum: 0, maximum: 604_800 }), {
        maxItems: 20,
        description:
          'Waits before each retry, in seconds; after the last one there is no recovery. Default: those of the installation. ' +
          '[] means one attempt only.',
      }),
    ),
    callback_events: maybe(
      Type.Array(Type.Enum(callbackEvents, { title: 'CallbackEvent', description: 'What happened to the request.' }), {
        minItems: 1,
        maxItems: callbackEvents.length,
        uniqueItems: true,
        description:
          'The events that a callback is sent for. Left out: request.responded, request.timeout and request.cancelled. ' +
          'request.revised and request.completed tell another program what the agent did.',
      }),
    ),
    timeout_minutes: maybe(
      Type.Integer({
        minimum: 1,
        maximum: 10_080,
        // As words: generators make a property with a default one that has to be given.
        description: `Left out: ${defaultTimeoutMinutes}. null: the request never times out.`,
      }),
    ),
    hold_seconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: longestHoldSeconds,
        description:
          'How long a decision is held back, so that the person can take it back. Until then the request is pending for the agent. ' +
          'Left out: 0.',
      }),
    ),
  },
  { title: 'CreateRequest' },
)

/** For the routes that ask. */
export const askHeaders = Type.Object({
  ...idempotencyHeaders.properties,
  traceparent: Type.Optional(
    Type.String({
      // That of all headers: a malformed one is ignored, not refused.
      maxLength: 16_384,
      description:
        'W3C Trace Context: kept with the request, sent with its callback, and `trace_id` in the log. Ignored when it is malformed.',
    }),
  ),
})

/** As many as a program asks at once without another thought; the body has its own limit of bytes. */
export const createRequestsBody = Type.Object(
  {
    requests: Type.Array(createRequestBody, {
      minItems: 1,
      maxItems: 500,
      description: 'The requests. All of them are created, or none.',
    }),
  },
  { title: 'CreateRequests' },
)

export const createRequestExample = {
  title: 'Delete 3 unused volumes in production?',
  description: 'They have not been attached for 90 days.',
  context: { volumes: ['vol-1', 'vol-2', 'vol-3'], monthly_cost: 42.5 },
  metadata: { run: 'cleanup-2026-01-31' },
  callback_webhook: 'https://agent.example.com/hitl',
  callback_secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  timeout_minutes: 60,
}

export const respondBody = Type.Object(
  {
    decision: maybe(decision),
    comment: maybe(Type.String({ maxLength: 10_000, description: comment })),
    ...answerMembers,
    revision: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 2_147_483_647,
        description: 'The revision that was read; 412 when it is not the latest.',
      }),
    ),
    digest: Type.Optional(
      nullable(
        Type.String({
          maxLength: 64,
          pattern: sha256Hex,
          description:
            'Computed from what was shown, as the digest of the request is; 409 when that is not what was asked.',
        }),
      ),
    ),
    hold_seconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: longestHoldSeconds,
        description:
          'How long the answer is held back from the agent, so that it can be taken back with `undo`. The longer of this and the ' +
          "request's own `hold_seconds` counts.",
      }),
    ),
  },
  { title: 'Answer' },
)

// Without files: who adds a file looks at one request.
const { revision: answeredRevision, attachments: _files, ...answerFields } = respondBody.properties

export const respondManyBody = Type.Object(
  {
    answers: Type.Array(
      Type.Object(
        {
          id: Type.String({ minLength: 1, maxLength: 64, description: 'The request.' }),
          ...answerFields,
          revision: Type.Integer({ ...answeredRevision, minimum: 1, maximum: 2_147_483_647 }),
        },
        { title: 'AnswerOfMany' },
      ),
      { minItems: 1, maxItems: 200, description: 'The answers, one to each request.' },
    ),
  },
  { title: 'Answers' },
)

export const answeredManySchema = Type.Object(
  {
    items: Type.Array(
      Type.Object(
        {
          id: Type.String({ description: 'The request, as it was named.' }),
          status: Type.Integer({
            description: 'What `respond` would have replied to this answer alone: 200, or a refusal.',
          }),
          request: Type.Optional(Type.Ref('Request')),
          problem: Type.Optional(Type.Ref('Problem')),
        },
        {
          title: 'AnsweredRequest',
          description: 'The request with its answer, as a list has it, or why it was refused.',
        },
      ),
      { description: 'In the order of the body.' },
    ),
  },
  { $id: 'AnsweredRequests', title: 'AnsweredRequests' },
)

export const respondExample = { decision: 'approve', comment: 'Fine, but keep vol-2.' }

export const requestExample = {
  id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a61',
  title: createRequestExample.title,
  description: createRequestExample.description,
  context: createRequestExample.context,
  metadata: createRequestExample.metadata,
  action: null,
  answer: null,
  justification: null,
  presentation: null,
  risk: 'medium',
  risk_proposed: 'medium',
  priority: 'normal',
  tags: [],
  run_id: null,
  state: 'callback_sent',
  revision: 1,
  attachments: [],
  response: {
    ...respondExample,
    ...responseExample,
    args: null,
    args_patch: null,
    responder_id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a59',
    responded_at: '2026-01-31T09:05:00.000Z',
  },
  responded_by: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a59',
  responded_at: '2026-01-31T09:05:00.000Z',
  decided_by: 'human',
  hold_seconds: 0,
  held_until: null,
  outcome: null,
  callback_webhook: createRequestExample.callback_webhook,
  callback_events: null,
  callback_sent_at: '2026-01-31T09:05:00.041Z',
  callback: { status: 'sent', attempts: 1, next_attempt_at: null, last_error: null },
  digest: digestExample,
  certificate: certificateText,
  certificate_expires_at: '2026-02-01T09:05:00.000Z',
  redeemed_at: null,
  erased_at: null,
  timeout_at: '2026-01-31T10:00:00.000Z',
  traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  agent_id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a58',
  api_key_id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a60',
  agent_paused: false,
  allowed_actions: ['redeliver'],
  created_at: '2026-01-31T09:00:00.000Z',
  revised_at: null,
  updated_at: '2026-01-31T09:05:00.041Z',
}

const truncated = (name: string) =>
  Type.Optional(
    Type.Boolean({
      description: `In a list: \`${name}\` is larger than 4 KiB, and {} stands for it. Read the request, or the list with fields=full.`,
    }),
  )

export const requestSchema = Type.Object(
  {
    id,
    title: Type.String({ description: 'What is asked, in one line.' }),
    description: nullable(Type.String({ description: 'What is asked, at length.' })),
    context: Type.Object(
      {},
      { additionalProperties: true, description: 'What a person needs to know, exactly as sent.' },
    ),
    metadata: nullable(
      Type.Object({}, { additionalProperties: true, description: "The agent's own data, exactly as sent." }),
    ),
    context_truncated: truncated('context'),
    metadata_truncated: truncated('metadata'),
    ...shownMembers,
    state,
    revision: Type.Integer({ description: 'Counts what was asked: 1, and one more with each revision.' }),
    attachments: Type.Array(Type.Ref('Attachment'), {
      description: 'The files that the agent added to what it asks, in that order. They are a part of the digest.',
    }),
    response: nullable(
      Type.Object(
        {
          decision: nullable(decision),
          comment: nullable(Type.String({ description: comment })),
          ...responseMembers,
          responder_id: uuid('The person who answered.'),
          responded_at: time('When it was answered.'),
        },
        { title: 'RequestResponse', description: 'The answer; null until there is one.' },
      ),
    ),
    responded_by: nullable(uuid('The person who answered.')),
    responded_at: nullable(time('When it was answered.')),
    decided_by: nullable(decider),
    hold_seconds: Type.Integer({ description: 'How long a decision is held back from the agent, at least.' }),
    held_until: nullable(
      time(
        'Until then the decision is held back from the agent, and the person who decided can take it back; `state` is pending. ' +
          'Always null for the agent.',
      ),
    ),
    outcome: nullable(reportedOutcome),
    callback_webhook: nullable(Type.String({ description: 'Where the answer is posted to.' })),
    callback_events: nullable(
      Type.Array(Type.String(), {
        description: 'The events that a callback is sent for; null: each way a request is closed.',
      }),
    ),
    callback_sent_at: nullable(time('When the callback was received.')),
    callback: Type.Object(
      {
        status: Type.Enum(callbackStatuses, {
          title: 'CallbackStatus',
          description:
            'pending: due, not tried yet; delivering: attempts failed, quick retries follow; failed: these are used up, too. ' +
            'Recovery may still deliver it: see next_attempt_at.',
        }),
        attempts: Type.Integer({ description: 'How many were made.' }),
        next_attempt_at: nullable(
          time(
            'When it is tried next, or sooner when its receiver takes callbacks again. With `failed`: the next attempt of the ' +
              'recovery, or null when nothing more is tried unless somebody asks.',
          ),
        ),
        last_error: nullable(Type.String({ description: 'Why the last one failed.' })),
      },
      { title: 'CallbackState', description: 'How far the callback has come.' },
    ),
    digest: Type.String({
      description:
        'SHA-256, in hex, over the RFC 8785 JSON of {context, description, title}, and of what there is of action, answer, justification, ' +
        'presentation and attachments: what is asked.',
    }),
    certificate: nullable(
      Type.String({ description: 'The decision as a compact JWS (EdDSA); see docs/certificates.md.' }),
    ),
    certificate_expires_at: nullable(time('An approval can be redeemed until then.')),
    redeemed_at: nullable(time('When the approval was used.')),
    erased_at: nullable(
      Type.String({ format: 'date-time', description: 'When its texts were erased on request; its digest stays.' }),
    ),
    timeout_at: nullable(time('When it times out, unless it is answered first.')),
    traceparent: nullable(Type.String({ description: 'W3C Trace Context of the call that asked.' })),
    agent_id: Type.String({ format: 'uuid', description: 'The agent that asked: all of its keys see the request.' }),
    api_key_id: Type.String({ format: 'uuid', description: 'The key that created it.' }),
    agent_paused: Type.Boolean({
      description: 'The agent is paused or stopped; it may not act on an answer.',
    }),
    allowed_actions: Type.Array(Type.String(), {
      description: 'What the caller may do now: respond, undo, cancel, revise, redeliver, redeem, report_outcome.',
    }),
    created_at: createdAt,
    revised_at: nullable(time('When what is asked now took the place of an earlier revision; null for the first one.')),
    updated_at: updatedAt,
  },
  { $id: 'Request', title: 'Request', description: 'What an agent asked, and what became of it.' },
)

const highlight = Type.Object(
  {
    field: Type.Enum(highlightedFields, {
      title: 'HighlightedField',
      description: 'Where it is from; comment is that of the answer.',
    }),
    parts: Type.Array(
      Type.Object(
        {
          text: Type.String({ description: 'As it was written: plain text, never markup.' }),
          match: Type.Boolean({ description: 'Whether it was searched for.' }),
        },
        { title: 'HighlightPart' },
      ),
      { description: 'One behind the other.' },
    ),
  },
  { title: 'Highlight' },
)

const match = Type.Object(
  {
    id: Type.String({ format: 'uuid', description: 'Of the item.' }),
    highlights: Type.Array(highlight, {
      description:
        'At most three pieces of about 160 characters around the first match of a text. None where it matches only in what the page ' +
        'leaves out, in tags or ids, or far behind in a text.',
    }),
  },
  { title: 'RequestMatch' },
)

export const requestPageSchema = Type.Object(
  {
    items: Type.Array(Type.Ref('Request'), {
      description: 'In the order of `sort`: newest first, unless it says otherwise.',
    }),
    total: nullable(
      Type.Integer({
        description:
          'How many match. null with a filter for which that is not kept: all but state, agent and updated_after.',
      }),
    ),
    limit: Type.Integer({ description: 'As asked for. A page holds fewer when they come to more than 1 MiB.' }),
    offset: Type.Integer({ description: 'As asked for.' }),
    next_cursor: nullable(Type.String({ description: 'For `cursor`; null on the last page.' })),
    watermark: nullable(
      Type.String({
        format: 'date-time',
        description:
          'With `updated_after`: every change up to this time was shown, on this page or those after it. It is the `updated_after` ' +
          'of the next poll.',
      }),
    ),
    matches: Type.Optional(
      Type.Array(match, { description: 'With `q`: what matches in each of the items, in their order.' }),
    ),
  },
  { $id: 'RequestPage', title: 'RequestPage' },
)

export const createdRequestsSchema = Type.Object(
  { items: Type.Array(Type.Ref('Request'), { description: 'The requests, in the order of the body.' }) },
  { $id: 'CreatedRequests', title: 'CreatedRequests' },
)

const count = (description: string) => Type.Integer({ minimum: 0, description })

export const countsSchema = Type.Object(
  {
    queues: Type.Object(
      {
        all: count('Requests that are pending, without those that the caller put aside.'),
        due_soon: count(
          `Those of them that time out within ${dueSoonMinutes} minutes, or should have; ${mostCounted} means as many or more.`,
        ),
        high_risk: count(`Those of them whose risk is high or critical; ${mostCounted} means as many or more.`),
        snoozed: count('Requests that are pending, and that the caller put aside.'),
        done: count('Requests that are not pending any more.'),
      },
      { title: 'QueueCounts', description: 'By queue of the inbox, as `queue` lists it.' },
    ),
    by_state: Type.Object(Object.fromEntries(states.map((state) => [state, count(`Requests that are ${state}.`)])), {
      title: 'StateCounts',
      description: 'By `state`, every request in one of them.',
    }),
  },
  { $id: 'RequestCounts', title: 'RequestCounts' },
)

export const countsExample = {
  queues: { all: 6, high_risk: 1, due_soon: 2, snoozed: 1, done: 1_204 },
  by_state: {
    pending: 7,
    responded: 3,
    callback_sent: 1_150,
    callback_failed: 1,
    timeout: 30,
    cancelled: 20,
    completed: 0,
  },
}

/** For the query: `metadata.run=4711`. */
export const metadataPrefix = 'metadata.'
/** Each is read from the text of the metadata, for every request that is looked at. */
export const mostMetadataFilters = 5

const moment = (description: string) =>
  Type.Optional(Type.String({ maxLength: 40, description: `RFC 3339; only requests ${description}.` }))

/** One value or several, with commas: a name that is in a query twice is refused everywhere. */
const anyOf = (values: readonly string[], what: string) => {
  const one = `(?:${values.join('|')})`
  const pattern = says(
    `^${one}(?:,${one})*$`,
    `must be one of ${values.join(', ')}, or several with commas between them`,
  )
  const description = `Only requests of this ${what}, or of any of several, with commas between them: ${values.join(', ')}.`
  return Type.Optional(Type.String({ maxLength: 100, pattern, description }))
}

const listMembers = {
  state: Type.Optional(state),
  queue: Type.Optional(
    Type.Enum(queues, {
      title: 'Queue',
      description:
        'Only requests of this queue of the inbox, for people. all: those that are pending, without those that the caller put aside; of ' +
        `these, high_risk: of high or critical risk; due_soon: that time out within ${dueSoonMinutes} minutes, or should have. snoozed: those ` +
        'that are pending, and that the caller put aside. done: those that are not pending any more.',
    }),
  ),
  q: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 200,
      description:
        'Only requests that contain all of these words, in any order: in title, description, justification, tags, run_id, the values of ' +
        'action and context, the comment of the answer, or the outcome. `ref*` is any word that begins so, `"paid twice"` a phrase, ' +
        '`-draft` must not be there, and an id finds its request. Letter case and accents make no difference. The first 32 768 characters of ' +
        'each text are searched, and 2 048 words of a request. A change can be found within two seconds.',
    }),
  ),
  priority: anyOf(priorities, 'priority'),
  risk: anyOf(risks, 'risk'),
  tag: Type.Optional(Type.String({ minLength: 1, maxLength: 64, description: 'Only requests with this tag.' })),
  run_id: Type.Optional(Type.String({ minLength: 1, maxLength: 255, description: 'Only requests of this run.' })),
  agent: Type.Optional(Type.String({ format: 'uuid', description: 'Only requests of the agent with this id.' })),
  decision: Type.Optional(decision),
  decided_by: Type.Optional(decider),
  responded_by: Type.Optional(
    Type.String({ format: 'uuid', description: 'Only requests that the person with this id decided.' }),
  ),
  responded_after: moment('decided after this time'),
  responded_before: moment('decided before this time'),
  created_after: moment('created after this time'),
  created_before: moment('created before this time'),
  due_before: moment('that time out before this time, or have timed out'),
  sort: Type.Optional(
    Type.Enum(sorts, {
      // Not as a default: cursors carry the query as it was sent.
      description:
        'newest (unless another is named) or oldest first; due: those that are pending, by when they time out, and those that never ' +
        'do come last; priority: urgent first, and of each priority the newest first. relevance goes with `q`, which has this order unless ' +
        'newest is named: the best match first, and of equal ones the newest. So ordered are the newest 1 000 that match, and behind them the next 1 000.',
    }),
  ),
  updated_after: Type.Optional(
    Type.String({
      maxLength: 40,
      description:
        'RFC 3339; only requests that changed after this time (differential polling). Changes are shown in the order of their ' +
        'updated_at: none is shown while an earlier one is still being committed. So a client that sends the newest updated_at it ' +
        'has seen, or the `watermark` of its last poll, misses nothing. Begin with 1970-01-01T00:00:00Z.',
    }),
  ),
  fields: Type.Optional(
    Type.Enum(['light', 'full'], {
      default: 'light',
      description: 'full: with every `context` and `metadata`, also those above 4 KiB.',
    }),
  ),
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 100,
      default: 20,
      description: 'A page of more than 1 MiB ends before this many; next_cursor goes on from there.',
    }),
  ),
  offset: Type.Optional(
    Type.Integer({ minimum: 0, maximum: 2_147_483_647, default: 0, description: 'How many to skip.' }),
  ),
  cursor: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 160,
      description: 'The next_cursor of the previous page; an offset beside it is refused.',
    }),
  ),
}

export const listQuery = Type.Object(listMembers, {
  patternProperties: {
    [`^${metadataPrefix.replace('.', '\\.')}.`]: Type.String({ maxLength: 1_000 }),
  },
})
