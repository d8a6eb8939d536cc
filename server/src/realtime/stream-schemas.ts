import { type TSchema, Type } from 'typebox'
import { createdAt, id, nullable, updatedAt } from '../http/schema-parts.ts'

/** What a stream of an inbox says of a request: a part of it, as its route shows it. */
export const noticeSchema = (request: { readonly properties: Readonly<Record<string, TSchema>> }) =>
  Type.Object(
    {
      id,
      ...Object.fromEntries(
        ['title', 'state', 'revision', 'risk', 'priority', 'agent_id', 'timeout_at', 'held_until', 'responded_by'].map(
          (name) => [name, request.properties[name] as TSchema],
        ),
      ),
      created_at: createdAt,
      updated_at: updatedAt,
    },
    {
      $id: 'RequestNotice',
      title: 'RequestNotice',
      description: 'The `data` of `request.new` and `request.changed`: enough for the row of a list.',
    },
  )

export const resetReasons = ['new', 'gap'] as const

export const resetSchema = Type.Object(
  {
    reason: Type.Enum(resetReasons, {
      title: 'ResetReason',
      description: 'new: the stream begins; gap: more was missed than is told one by one.',
    }),
  },
  { $id: 'StreamReset', title: 'StreamReset', description: 'The `data` of `reset`: read the lists again.' },
)

export const presenceSchema = Type.Object(
  {
    request_id: id,
    people: Type.Array(
      Type.Object({ id, name: nullable(Type.String({ description: 'Their name.' })) }, { title: 'PersonLooking' }),
      { description: 'Who looks at it now; the reader, too. Empty: nobody any more.' },
    ),
  },
  { $id: 'RequestPresence', title: 'RequestPresence', description: 'The `data` of `presence`.' },
)

export const noticeExample = {
  id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a61',
  title: 'Delete 3 unused volumes in production?',
  state: 'pending',
  revision: 1,
  risk: 'high',
  priority: 'normal',
  agent_id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a58',
  timeout_at: '2026-01-31T10:00:00.000Z',
  held_until: null,
  responded_by: null,
  created_at: '2026-01-31T09:00:00.000Z',
  updated_at: '2026-01-31T09:00:00.000Z',
}

export const inboxStreamExample = [
  'retry: 2000',
  '',
  'id: 1769850000000-ffffffff-ffff-ffff-ffff-ffffffffffff',
  'event: reset',
  'data: {"reason":"new"}',
  '',
  'id: 1769850000041-01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a61',
  'event: request.new',
  `data: ${JSON.stringify(noticeExample)}`,
  '',
].join('\n')
