import { Type } from 'typebox'
import { pageQuery, pageSchema } from '../http/paging.ts'
import { nullable, time, uuid } from '../http/schema-parts.ts'
import { digestExample } from './certificate-schemas.ts'
import { deciders } from './consultation.ts'
import { responseExample } from './questions/schemas.ts'
import { mostRevisions } from './revision.ts'
import { createRequestBody, createRequestExample, requestSchema, respondExample } from './schemas.ts'

export const reviseRequestBody = Type.Object(
  {
    ...createRequestBody.properties,
    revision: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 2_147_483_647,
        description: 'The revision that it takes the place of; 412 when the request is at another one.',
      }),
    ),
  },
  { title: 'ReviseRequest' },
)

export const reviseRequestExample = {
  ...createRequestExample,
  title: 'Delete 2 unused volumes in production?',
  context: { volumes: ['vol-1', 'vol-3'], monthly_cost: 21.5 },
  revision: 1,
}

const { properties } = requestSchema
const {
  title,
  description,
  context,
  metadata,
  action,
  answer,
  justification,
  presentation,
  risk,
  priority,
  tags,
  run_id,
  hold_seconds,
  attachments,
  digest,
} = properties

const response = Type.Object(
  {
    ...properties.response.anyOf[0].properties,
    voided_at: nullable(
      time(
        'When it became void, because the agent revised what was asked while the decision was held back. Agents are not shown such an answer.',
      ),
    ),
  },
  { title: 'RevisionResponse', description: 'The answer to this revision; null where there was none.' },
)

export const revisionSchema = Type.Object(
  {
    revision: Type.Integer({ description: 'Its number.' }),
    title,
    description,
    context,
    metadata,
    action,
    answer,
    justification,
    presentation,
    risk,
    priority,
    tags,
    run_id,
    hold_seconds,
    attachments,
    digest,
    timeout_at: nullable(time('When it was to time out.')),
    api_key_id: uuid('The key that asked it.'),
    created_at: time('When it was asked.'),
    revised_at: nullable(time('When the next revision took its place; null for what is asked now.')),
    erased_at: nullable(time('When its texts were erased on request; its digest stays.')),
    decided_by: nullable(Type.Enum(deciders, { title: 'Decider', description: 'What brought the decision about.' })),
    response: nullable(response),
    patch: nullable(
      Type.Array(Type.Object({}, { additionalProperties: true, description: 'An operation.' }), {
        description:
          'RFC 6902: from the revision before to this one, over title, description, context, metadata, action, answer, justification, ' +
          'presentation, risk, priority, tags, run_id, hold_seconds and attachments. null for the first revision.',
      }),
    ),
    patch_omitted: Type.Boolean({
      description: 'The two revisions, or the patch, come to more than 128 KiB: compare them yourself.',
    }),
  },
  { $id: 'Revision', title: 'Revision' },
)

export const revisionPageSchema = pageSchema('RevisionPage', Type.Ref('Revision'), 'null on the last page.')

export const revisionsQuery = Type.Object({
  ...pageQuery.properties,
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: mostRevisions,
      default: mostRevisions,
      description: 'How many at most. A page has fewer when they come to more than 1 MiB.',
    }),
  ),
})

const common = {
  description: createRequestExample.description,
  metadata: createRequestExample.metadata,
  action: null,
  answer: null,
  justification: null,
  presentation: null,
  risk: 'medium',
  priority: 'normal',
  tags: [],
  run_id: null,
  hold_seconds: 0,
  attachments: [],
  digest: digestExample,
  timeout_at: '2026-01-31T10:00:00.000Z',
  api_key_id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a60',
  erased_at: null,
  patch_omitted: false,
}

export const revisionsExample = {
  items: [
    {
      ...common,
      revision: 2,
      title: reviseRequestExample.title,
      context: reviseRequestExample.context,
      created_at: '2026-01-31T09:06:00.000Z',
      revised_at: null,
      decided_by: null,
      response: null,
      patch: [
        { op: 'replace', path: '/title', value: reviseRequestExample.title },
        { op: 'remove', path: '/context/volumes/1' },
        { op: 'replace', path: '/context/monthly_cost', value: 21.5 },
      ],
    },
    {
      ...common,
      revision: 1,
      title: createRequestExample.title,
      context: createRequestExample.context,
      created_at: '2026-01-31T09:00:00.000Z',
      revised_at: '2026-01-31T09:06:00.000Z',
      decided_by: 'human',
      response: {
        ...respondExample,
        ...responseExample,
        decision: 'request_changes',
        args: null,
        args_patch: null,
        responder_id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a59',
        responded_at: '2026-01-31T09:05:00.000Z',
        voided_at: null,
      },
      patch: null,
    },
  ],
  next_cursor: null,
}
